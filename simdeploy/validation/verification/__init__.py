"""Both engines compared with closed forms, for users to run on their machines.

Other packages use `verify`, `Verification`; reports also use `verifying`.
"""

from simdeploy.validation.verification.verifying import Verification, verify

__all__ = ["Verification", "verify"]
