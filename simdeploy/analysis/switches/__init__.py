"""The conclusion under every value of every switch that the API leaves undocumented.

`varying` has the call, `switch_values` what is tried and simulated, `conclusions` and `switch_choice` say what follows. From
outside: `vary_switches`, `Switches`.
"""
