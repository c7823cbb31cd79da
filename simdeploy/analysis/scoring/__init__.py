"""Keeping score: forecasts that were kept in a log, compared with what then happened.

From outside: `score`, imported on first use; `advise` and `forecast` keep their answers with `keep_answer`.
"""
