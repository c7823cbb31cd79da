"""Costs of rollouts by cause, and the value of more information and of longer observation.

Modules: `causes`, `information` and `observation` are the calls. Other packages use `estimate_costs`,
`value_of_perfect_information`, `value_of_observation` and their results; reports also use the words of `knowing` and
`observation_steps`.
"""
