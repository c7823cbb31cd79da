"""Results as JSON documents: what is in them, and how they are read back.

May be used from outside: `read_result`, `result_schema`, `KINDS`. Both functions follow from what a result declares: the
types of its fields, and the columns of its tables.
"""

from simdeploy.documents.models import KINDS, result_schema
from simdeploy.documents.reading import read_result

__all__ = ["KINDS", "read_result", "result_schema"]
