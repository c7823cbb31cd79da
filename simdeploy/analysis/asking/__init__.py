"""What all questions share: values of measures, requirements, directions, and unknown values.

From outside: everything, by analyses, reports and pictures.
"""
