"""Pictures: every function draws on the axes it is given and returns them; no global state is touched."""

from simdeploy.plotting.comparison import plot_comparison
from simdeploy.plotting.heatmap import plot_heatmap
from simdeploy.plotting.timeline import plot_timeline

__all__ = ["plot_comparison", "plot_heatmap", "plot_timeline"]
