"""Requirements, simulated until they are decided.

Modules: `checking` is the call, `asked` holds the open questions. From outside: `check`, `Check`.
"""
