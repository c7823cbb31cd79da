"""What the replications mean: one method one file."""

from simdeploy.analysis.comparison import Comparison, compare
from simdeploy.analysis.grid import GridSummary, summarize_grid

__all__ = ["Comparison", "GridSummary", "compare", "summarize_grid"]
