"""Both engines held against the closed forms, by users on their own machines.

From outside: `verify`, `Verification`.
"""

from simdeploy.validation.verification.verifying import Verification, verify

__all__ = ["Verification", "verify"]
