"""The search for a policy: which ones are tried (`space`), where they are simulated (`worlds`), what is known of them
(`findings`), how one is chosen (`search`) and what is said about it (`result`). From outside: `tune`, `Tuning`.
"""

from simdeploy.analysis.tuning.result import Tuning
from simdeploy.analysis.tuning.search import tune

__all__ = ["Tuning", "tune"]
