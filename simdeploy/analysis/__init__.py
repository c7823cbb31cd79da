"""What the replications mean: one method one file."""

from simdeploy.analysis.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
