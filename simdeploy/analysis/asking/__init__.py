"""What all questions share: values of measures, requirements, directions, and unknown values.

Analyses, reports and pictures use all of it.
"""
