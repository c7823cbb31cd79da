"""What the replications mean: one method one file."""

from simdeploy.analysis.comparison import Comparison, compare
from simdeploy.analysis.grid import GridSummary, summarize_grid
from simdeploy.analysis.tuning import Tuning, tune

__all__ = ["Comparison", "GridSummary", "Tuning", "compare", "summarize_grid", "tune"]
