"""What recorded rollouts would have done under other policies.

Modules: `backtesting` is the call; `bounding` finds the bounds of responses, `modelling` estimates between them; `reproducing` and
`doubting` test the assumptions; `summarizing` makes rates. Other packages use `backtest` and `Backtest`. `simdeploy.engines.replay`
replays the rollouts.
"""
