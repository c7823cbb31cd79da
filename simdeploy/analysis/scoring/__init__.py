"""Scores forecasts that were kept in a log against what happened afterwards.

Other packages use `score`, which is imported on first use; `advise` and `forecast` save their answers with `keep_answer`.
"""
