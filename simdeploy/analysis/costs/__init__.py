"""What rollouts cost, by cause; what it is worth to know more, and to watch longer.

`causes`, `information` and `observation` have the calls. From outside: `estimate_costs`, `value_of_perfect_information`,
`value_of_observation` and their results.
"""
