"""What all questions share: values of measures, requirements, directions, and unknown values.

Other packages use all of it: analyses, reports and pictures.
"""
