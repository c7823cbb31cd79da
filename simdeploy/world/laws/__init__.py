"""One law per file: parameters, moments, both tails and their inverses.

May be used from outside: through `simdeploy.world.distributions` and `simdeploy.world.residual`. May import:
`simdeploy.world.special`.
"""
