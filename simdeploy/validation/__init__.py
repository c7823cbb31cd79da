"""Whether the numbers are right: closed forms (`oracles`), and both engines held against them (`verification`).

Nothing else uses it, so that an error can't hide on both sides. From outside: `verify`, `Verification`, and the closed
forms of `oracles`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
