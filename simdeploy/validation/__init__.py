"""Validation of the numbers: closed forms (`oracles`), and both engines compared with them (`verification`).

Nothing else uses it, so an error can't affect both sides. From outside: `verify`, `Verification`, and the closed forms
of `oracles`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
