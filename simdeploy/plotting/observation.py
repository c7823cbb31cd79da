"""What it saves to watch more: by how much, and where it stops paying."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.plotting.colours import INK, STRIPE
from simdeploy.plotting.costs import LOOKS
from simdeploy.plotting.plain_text import in_plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.costs.observation import ObservationResult

_AXES = {"canaries": "canaries", "minutes": "minutes by which each node is watched longer"}
_LINES = {
    "cost_delay": (0, (5, 2)),
    "cost_failed_requests": (0, (1, 1)),
    "cost_unavailability": (0, (3, 1, 1, 1)),
    "cost_false_alarm": (0, (5, 1, 1, 1, 1, 1)),
    "cost_escape": (0, (8, 2)),
}


@in_plain_text
def plot_value_of_observation(ax: Axes, result: ObservationResult, *, lever: str = "canaries") -> Axes:
    """Draw what each amount of watching saves against the policy as it is.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : ObservationResult
    lever : {'canaries', 'minutes'}

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If the result has no such lever.

    Notes
    -----
    The thick line is what is saved in all, with its intervals; thin ones are its parts. Up to the shaded part each
    further step surely saves.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.costs.observation import value_of_observation
    >>> from simdeploy.plotting.observation import plot_value_of_observation
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "four-nodes", "fleet": {"nodes": 4, "update_duration": "1m"}, "costs": {"hour_of_delay": 60},
    ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> result = value_of_observation(scenario, replications=2)
    >>> plot_value_of_observation(Figure().subplots(), result, lever="minutes").get_xlabel()
    'minutes by which each node is watched longer'
    """
    rows = result.savings[result.savings["lever"].eq(lever)]
    if rows.empty:
        known = list(result.savings["lever"].unique())
        hint = nearest(lever, known)
        raise InputError(
            Problem("no such lever", ("lever",), found=shorten(lever), allowed=", ".join(known), hint=hint)
        )
    limit = result.limits[result.limits["lever"].eq(lever)].iloc[0]
    for cause, line in _LINES.items():
        part = rows[rows["cause"].eq(cause)]
        if part["cost"].any():
            label = LABELS[cause][0].removeprefix("cost of ")
            ax.plot(part["value"], part["estimate"], color=LOOKS[cause][0], linestyle=line, linewidth=1.4, label=label)
    total = rows[rows["cause"].eq("cost")]
    ax.vlines(total["value"], total["low"], total["high"], color=INK, linewidth=1.6)
    ax.plot(total["value"], total["estimate"], "o-", color=INK, linewidth=2, markersize=5, label="in all")
    now = total[total["is_current"]]
    ax.plot(
        now["value"],
        now["estimate"],
        "D",
        color="white",
        markeredgecolor=INK,
        markersize=8,
        label="as it is",
        zorder=4,
    )
    ax.axhline(0, color=INK, linewidth=0.8, zorder=0)
    if limit["pays_until"] < total["value"].max():
        ax.axvspan(limit["pays_until"], total["value"].max(), color=STRIPE, zorder=-1, label="more doesn't surely pay")
    ax.set_xlabel(_AXES[lever])
    ax.set_ylabel(f"saved a rollout,\nwith {100 * result.confidence_level:g} % intervals")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, fontsize="small", frameon=False)
    return ax
