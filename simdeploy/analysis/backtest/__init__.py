"""What recorded rollouts would have done under other policies.

Modules: `backtesting` is the call; `bounding` finds the bounds of responses, `modelling` estimates between them; `reproducing` and
`doubting` test what is assumed; `summarizing` makes rates. From outside: `backtest`, `Backtest`. Replays are those of `simdeploy.engines.replay`.
"""
