"""The recommended policy under every value of every switch that the API leaves undocumented.

Modules: `varying` is the call, `switch_values` defines and simulates the values, `conclusions` and `switch_choice` draw
the conclusions. Other packages use `vary_switches` and `Switches`.
"""
