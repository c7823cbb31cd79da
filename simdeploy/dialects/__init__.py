"""Conversion of specs to general policies and between dialects, and importers of other orchestrators' files.

Other packages use `policy_from_spec`, `translate_spec` of `translation`, and `read_policy`, which imports a file. Each
format that can be imported has one module, with `recognises(source)` and `read(reading)`. Readers of scenarios and
records also use `importing`, `source`, `expanso` and `argo_analysis`; reports also use `imported`.
"""

from simdeploy.dialects.imported import Note, PolicyImport
from simdeploy.dialects.importing import read_policy
from simdeploy.dialects.specs import policy_from_spec
from simdeploy.vocabulary import IMPORT_KINDS as KINDS

__all__ = ["KINDS", "Note", "PolicyImport", "policy_from_spec", "read_policy"]
