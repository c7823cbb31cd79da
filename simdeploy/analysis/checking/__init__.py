"""Requirements, simulated until they are decided.

`checking` has the call, `asked` what is open, `sequential` when one looks. From outside: `check`, `Check`.
"""
