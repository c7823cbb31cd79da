"""The control plane without a clock: switches, the plan, verdicts and limits as pure functions.

May be used from outside: everything. May import: `simdeploy.world`, `simdeploy.units`, `simdeploy.errors`.
"""
