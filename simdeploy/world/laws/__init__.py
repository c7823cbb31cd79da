"""One law per file: parameters, moments, both tails and their inverses.

Other packages use it through `simdeploy.world.distributions` and `simdeploy.world.residual`. May import:
`simdeploy.world.special`.
"""
