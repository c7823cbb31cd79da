"""Validation of the numbers: closed forms (`oracles`), both engines compared with them (`verification`), and problems of
choosing a policy with known best answers (`decisions`).

Nothing else uses it, so an error can't affect both sides. Other packages use `verify`, `Verification`,
`verify_decisions`, `Decisions`, and the closed forms of `oracles`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
