"""Arithmetic of samples: arrays in, numbers out, independent of rollouts.

Values (`sample`), intervals and estimates (`intervals`, `estimators`, `levels`, `moments`, `skewness`, `heavy_tails`,
`nonnegative`), strata (`parts`, `combining`, `allocation`), many policies in the same worlds (`pairs`), weighted samples
(`weights`), the best of many (`selection`), sensitivity indices (`indices`), boxes (`boxes`), multilevel splitting
(`splitting`), fits (`beta_binomial`, `censored`, `lifetimes`, `maximizing`, `shared_scale`), forecasts (`reliability`).
Other packages use all of it, and users only `Selection`.
"""
