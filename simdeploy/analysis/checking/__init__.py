"""Requirements, simulated until they are decided.

Modules: `checking` is the call, `asked` holds the open questions. Other packages use `check` and `Check`.
"""
