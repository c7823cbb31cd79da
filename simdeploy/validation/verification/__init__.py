"""Both engines compared with closed forms, for users to run on their machines.

May be used from outside: `verify`, `Verification`.
"""

from simdeploy.validation.verification.verifying import Verification, verify

__all__ = ["Verification", "verify"]
