"""Policy search: candidates (`space`), simulation (`worlds`), what is known of each candidate (`findings`), selection
(`search`), the outcome (`result`). Other packages use `tune`, `Tuning`; reports also use the words of `in_flight`.
"""

from simdeploy.analysis.tuning.result import Tuning
from simdeploy.analysis.tuning.search import tune

__all__ = ["Tuning", "tune"]
