"""Which factors move a response: a design, its responses, and indices with intervals.

`designs.py` spreads points, `effects.py` and `indices.py` are what Morris and Sobol make of their responses, `resampling.py` how
sure that is, `responding.py` what a point's response is and which points have none;
`analyzing.py` and `estimating.py` have the calls.
"""
