"""What recorded rollouts would have done under other policies.

Modules: `backtesting` is the call; `knowing` reads what is known of a rollout, `interpreting` what a policy means in it; `bounding`
finds the bounds of its responses, `modelling` estimates between them, `refusing` what can't be asked; `reproducing` and `doubting` test what is assumed; `summarizing`
makes rates. From outside: `backtest`, `Backtest`.
"""
