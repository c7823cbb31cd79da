"""The control plane without a clock: switches, the plan, verdicts and limits as pure functions.

Other packages use everything. May import: `simdeploy.world`, `simdeploy.units`, `simdeploy.errors`.
"""
