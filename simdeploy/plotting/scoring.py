"""Reliability diagram of logged forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.plotting.axes import write_percent
from simdeploy.plotting.intervals import add_interval
from simdeploy.plotting.style import GREY, INK, VERMILION, in_plain_text, say_nothing_known

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.scoring.result import Event, Score


@in_plain_text
def plot_score(ax: Axes, score: Score, *, event: Event = "defective") -> Axes:
    """Draw a reliability diagram: the fraction that happened over the forecast probability.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its data are fractions.
    score : Score
    event : {'defective', 'completed'}

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    On the line, the fraction equals the forecast. Groups that aren't consistent with it are red.

    Examples
    --------
    >>> import tempfile
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_score
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "four nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m"},
    ...     "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.9}},
    ...     "policies": {"in-twos": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}},
    ... })
    >>> rollout = simdeploy.simulate(scenario)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     how = {"replications": 200, "engine": "reference", "log": folder}
    ...     _ = simdeploy.forecast(scenario, seen=rollout.revisions[:2], **how)
    ...     score = simdeploy.score(folder, outcomes=rollout.deployment)
    >>> plot_score(Figure().subplots(), score, event="completed").get_xlabel()
    'forecast probability (completed)'
    """
    bins = score.bins[score.bins["event"] == event]
    if bins.empty:
        say_nothing_known(ax, "no outcomes are known")
        return ax
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
    colours = [INK if verdict == "consistent" else VERMILION for verdict in bins["verdict"]]
    ax.vlines(bins["called"], bins["low"], bins["high"], colors=colours, linewidth=2.2, alpha=0.5)
    ax.scatter(bins["called"], bins["happened"], s=24, c=colours, zorder=3)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(write_percent)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel(f"forecast probability ({event})")
    ax.set_ylabel(f"fraction {event}")
    add_interval(ax, "y", score.confidence_level)
    return ax
