"""Pictures of forecasts and advice: what was seen of a rollout, how it goes on, and what each act costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.plotting.axes import set_time_axis, write_number, write_percent
from simdeploy.plotting.intervals import add_interval, draw_intervals
from simdeploy.plotting.style import BLUE, GREY, INK, VERMILION, in_plain_text, label_line_ends, set_rows
from simdeploy.report.formatting import find_cost_unit, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.advice.result import Advice, Forecast

_ROOM = 1.08
_COLOURS = {"updated": BLUE, "failed": VERMILION}


@in_plain_text
def plot_forecast(ax: Axes, forecast: Forecast) -> Axes:
    """Draw updated and failed nodes over time: as they were seen, and then the median and the middle 95 %.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its data are seconds and nodes.
    forecast : Forecast or Advice

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Examples
    --------
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_forecast
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "four nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m"},
    ...     "policies": {"in-twos": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}},
    ... })
    >>> seen = simdeploy.simulate(scenario).revisions[:2]
    >>> forecast = simdeploy.forecast(scenario, seen=seen, replications=20, engine="reference")
    >>> plot_forecast(Figure().subplots(), forecast).get_ylabel()
    'nodes'
    """
    from matplotlib.ticker import MaxNLocator

    course = forecast.course
    to_come = course[~course["is_past"]]
    lines = []
    for name, colour in _COLOURS.items():
        low, median, high = (course[f"{name}_nodes{end}"] for end in ("_low", "", "_high"))
        lines += ax.step(course["time_s"], median, where="post", color=colour, linewidth=1.6, label=name)
        low, high = low[to_come.index], high[to_come.index]
        ax.fill_between(to_come["time_s"], low, high, step="post", color=colour, alpha=0.18, linewidth=0)
    ax.axvline(forecast.at_s, color=INK, linewidth=0.8, linestyle=":")
    if not np.isnan(forecast.failed_limit):
        limit: dict[str, Any] = {"color": VERMILION, "linewidth": 0.8, "linestyle": "--"}
        lines.append(ax.axhline(forecast.failed_limit, **limit, label="failed nodes\nthat stop it"))
    longest = float(course["time_s"].max())
    ax.set_xlim(0, longest)
    highest = [*course[["updated_nodes_high", "failed_nodes_high"]].max(), forecast.failed_limit, 1.0]
    ax.set_ylim(0, _ROOM * float(np.nanmax(highest)))
    set_time_axis(ax.xaxis, longest, "time since the start")
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(write_number)
    ax.set_ylabel("nodes")
    ax.set_title("seen, then median and middle 95 %", loc="left", fontsize="small")
    label_line_ends(ax, lines)
    return ax


@in_plain_text
def plot_kinds(ax: Axes, forecast: Forecast) -> Axes:
    """Draw the probability of each kind of release, before and given what was seen.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its data are fractions, with a row for each kind.
    forecast : Forecast or Advice

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Examples
    --------
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_kinds
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "four nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m"},
    ...     "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "start_failure": 0.9}},
    ...     "policies": {"in-twos": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}},
    ... })
    >>> seen = simdeploy.simulate(scenario).revisions[:2]
    >>> forecast = simdeploy.forecast(scenario, seen=seen, replications=20, engine="reference")
    >>> [label.get_text() for label in plot_kinds(Figure().subplots(), forecast).get_yticklabels()]
    ['good', 'bad']
    """
    kinds = forecast.kinds
    rows = np.arange(len(kinds))
    set_rows(ax, kinds["kind"].tolist())
    draw_intervals(ax, "x", rows, kinds["low"], kinds["high"], forecast.is_trusted, linewidth=2.2, color=INK)
    ax.plot(kinds["prior"], rows, "o", markerfacecolor="white", color=GREY, label="before", linestyle="none")
    ax.plot(kinds["posterior"], rows, "o", color=INK, label="given what was seen", linestyle="none")
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(write_percent)
    ax.set_xlabel("probability")
    add_interval(ax, "x", forecast.confidence_level)
    ax.legend(fontsize="small", loc="lower right", frameon=False)
    return ax


@in_plain_text
def plot_acts(ax: Axes, advice: Advice) -> Axes:
    """Draw what each act costs.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its data are costs, with a row for each act.
    advice : Advice

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Examples
    --------
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_acts
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "four nodes",
    ...     "fleet": {"nodes": 4, "update_duration": "1m"},
    ...     "costs": {"hour_of_delay": 10, "false_alarm": 50},
    ...     "policies": {"in-twos": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}},
    ... })
    >>> seen = simdeploy.simulate(scenario).revisions[:2]
    >>> advice = simdeploy.advise(scenario, seen=seen, replications=20, engine="reference")
    >>> [label.get_text() for label in plot_acts(Figure().subplots(), advice).get_yticklabels()]
    ['go on', 'pause 10m', 'cancel']
    """
    acts = advice.acts
    rows = np.arange(len(acts))
    set_rows(ax, acts["act"].tolist())
    draw_intervals(ax, "x", rows, acts["low"], acts["high"], acts["is_trusted"], linewidth=2.2, color=GREY)
    is_best = acts["act"].eq(advice.best).to_numpy()
    ax.plot(acts["cost"][~is_best], rows[~is_best], "o", color=GREY)
    ax.plot(acts["cost"][is_best], rows[is_best], "o", color=INK)
    unit = find_cost_unit(advice.computed_under)
    ax.xaxis.set_major_formatter(write_number)
    ax.set_xlabel(with_unit("cost of the whole rollout", unit))
    add_interval(ax, "x", advice.confidence_level)
    return ax
