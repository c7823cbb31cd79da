"""Results as JSON documents: their schemas, and reading them back.

Other packages use `read_result`, `result_schema` and `KINDS`. Everything is derived from the class of a result: the types
of its fields, and the columns of its tables.
"""

from simdeploy.documents.models import KINDS, result_schema
from simdeploy.documents.reading import read_result

__all__ = ["KINDS", "read_result", "result_schema"]
