"""Requirements, simulated until they are decided.

`checking` has the call, `asked` what is open. From outside: `check`, `Check`.
"""
