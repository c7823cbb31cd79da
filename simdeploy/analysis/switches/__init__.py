"""The conclusion under every value of every switch that the API leaves undocumented.

`varying` has the call, `settings` simulates, `conclusions` says what follows. From outside: `vary_switches`, `Switches`.
"""
