"""Both engines compared with closed forms, by users on their machines.

From outside: `verify`, `Verification`.
"""

from simdeploy.validation.verification.verifying import Verification, verify

__all__ = ["Verification", "verify"]
