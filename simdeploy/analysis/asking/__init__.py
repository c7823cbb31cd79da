"""What all questions share: values of measures, requirements, which side is better, and what can't be known.

From outside: everything, by analyses, reports and pictures.
"""
