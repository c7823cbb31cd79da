"""From a spec to the general policy, to a spec of another dialect, and from other orchestrators' files.

From outside: `policy_from_spec`, `translate_spec` of `translation`, and `read_policy`, which imports a file. Each format that
can be imported has one module, with `recognises(source)` and `read(reading)`.
"""

from simdeploy.dialects.imported import Note, PolicyImport
from simdeploy.dialects.importing import read_policy
from simdeploy.dialects.specs import policy_from_spec
from simdeploy.vocabulary import IMPORT_KINDS as KINDS

__all__ = ["KINDS", "Note", "PolicyImport", "policy_from_spec", "read_policy"]
