"""Pictures: every function draws on the axes it is given and returns them; no global state is touched.

Each function is imported when it is first used, so that a picture costs no more than what it shows. From outside: those that
`__init__.pyi` lists.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
