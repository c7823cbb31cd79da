"""The distribution of a response under each policy."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.naming import name_cases
from simdeploy.errors import InputError, Problem
from simdeploy.plotting import style
from simdeploy.plotting.axes import set_limits, set_log_measure_axis, set_measure_axis
from simdeploy.plotting.style import in_plain_text, name_row, put_legend_above, say_no_value, set_rows, write_beside
from simdeploy.report.formatting import find_cost_unit, measure_scale, percent
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import find_quantiles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

_N_BINS = 40
_HEIGHT = 0.8  # of a row
_SPREAD = 8  # ratio of the largest value to the largest median above which the axis is logarithmic
_WIDEST = 1e4  # ratio of the largest value to the smallest one that a logarithmic axis distinguishes from 0
_MOST_TICKS = 4  # few, because costs are long numbers
# The makespan that comparisons use, if the table has the column, because stopped rollouts end early.
_MAKESPANS = {"verdict": "makespan_s given completed_good", "state": "makespan_s given completed"}
_QUANTILES = ((0.5, "median", "-"), (0.95, "p95", (0, (1, 1))))


@in_plain_text
def plot_distribution(
    ax: Axes,
    responses: pd.DataFrame | Batches,
    *,
    measure: Measure | str | None = None,
    costs: Costs | None = None,
) -> Axes:
    """Draw a histogram of the values of a response for every policy or case, with its median and 0.95 quantile.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about half an inch of height per policy is enough.
    responses : DataFrame, SweepResult or StoredTable
        From `replicate`, `sweep` or `read_store`, without a tilt.
    measure : Measure or str, optional
        A response or cost, such as ``cost`` or ``blast_radius given defective``. By default, as in `compare`, the makespan of completed
        rollouts with good releases; if the table has none, that of completed rollouts; if it has none either, that of all.
    costs : Costs, optional
        As for `estimate`.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If the measure is an event or a quantile, which have no distribution, or is not in the table.

    Notes
    -----
    All histograms have the same bins, and each is as high as its row. If the largest value is more than eight times the largest median,
    axis and bins are logarithmic, with a separate bin for 0. Kinds of release that were simulated separately are weighted by their
    probabilities. The fraction of rollouts without a value, because they never end, is beside the row; quantiles are of the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_distribution
    >>> table = pd.DataFrame({"policy": ["a", "a", "b"], "replication": [0, 1, 0], "makespan_s": [60.0, 80.0, 190.0]})
    >>> plot_distribution(Figure().subplots(), table).get_xlabel()
    'makespan (min)'
    """
    values = Values(responses, _list_makespans(responses) if measure is None else [measure], costs=costs)
    measure = next(each for each in values.measures if each is values.measures[-1] or _occurs(values, each.given))
    if measure.kind != "mean":
        hint = "choose a response, such as makespan_s; plot_estimates draws rates and quantiles"
        raise InputError(Problem("has no distribution", ("measure",), found=str(measure), hint=hint))
    drawn, sample = values.of(measure), values.sample(measure).as_drawn()
    weights = np.where(np.isnan(drawn), 0.0, sample.weights)
    is_known = weights > 0
    names = name_cases(values.cases)
    set_rows(ax, [name_row(name, int(n)) for name, n in zip(names, is_known.sum(axis=1), strict=True)])
    quantiles = np.stack([find_quantiles(sample, quantile) for quantile, _, _ in _QUANTILES])
    linear = _find_linear(drawn[is_known], quantiles[0])
    edges = _choose_edges(drawn[is_known], linear)
    policies = values.cases["policy"].tolist()
    looks = dict(zip(dict.fromkeys(policies), cycle(style.LINE_LOOKS), strict=False))
    for row, policy in enumerate(policies):
        if is_known[row].any():
            counts, _ = np.histogram(drawn[row][is_known[row]], edges, weights=weights[row][is_known[row]])
            _draw_row(ax, row, counts, edges, quantiles[:, row], looks[policy].colour)
        else:
            say_no_value(ax, row)
    unit = find_cost_unit(values.counted_under)
    set_measure_axis(ax.xaxis, measure, set_limits(ax, "x", measure, edges), unit)
    if linear is not None:
        scale = measure_scale(measure, float(edges[-1]), unit)
        set_log_measure_axis(ax, linear, float(edges[0]), float(edges[-1]), scale)
    elif not measure.is_duration:
        ax.locator_params("x", nbins=_MOST_TICKS)
    for row, unknown in enumerate(values.unknown_fractions(measure).tolist()):
        if unknown > 0:
            write_beside(ax, row, f"{percent(round(unknown, 3))}\nnever end")
    if is_known.any():
        put_legend_above(ax, len(_QUANTILES))
    return ax


def _list_makespans(responses: pd.DataFrame | Batches) -> list[str]:
    """Return the makespans that a table may have, the most comparable one first."""
    columns = getattr(responses, "columns", ())  # `Values` refuses what is no table
    return [*(given for column, given in _MAKESPANS.items() if column in columns), "makespan_s"]


def _occurs(values: Values, event: str | None) -> bool:
    """Return whether the event is known to have happened in any rollout: without releases there are no verdicts."""
    return event is None or bool((values.holds(event) > 0).any())


def _draw_row(ax: Axes, row: int, counts: np.ndarray, edges: np.ndarray, quantiles: np.ndarray, colour: str) -> None:
    """Draw a histogram in its row, with lines at quantiles; only those of the first are in the legend."""
    floor, top = row + _HEIGHT / 2, row - _HEIGHT / 2
    ax.stairs(floor - _HEIGHT * counts / counts.max(), edges, baseline=floor, fill=True, color=colour)
    is_first = ax.get_legend_handles_labels()[1] == []
    for (_, label, line), at in zip(_QUANTILES, quantiles.tolist(), strict=True):
        ax.vlines(at, top, floor, color="white", linewidth=3)
        name = label if is_first else ""
        ax.vlines(at, top, floor, color=style.INK, linewidth=1.6, linestyle=line, label=name)


def _find_linear(values: np.ndarray, medians: np.ndarray) -> float | None:
    """Return up to where the axis is linear if a heavy tail makes the rest logarithmic; None for a linear axis."""
    known = medians[~np.isnan(medians)]
    if not len(values) or values.min() < 0 or values.max() <= _SPREAD * max(known.max(), 0.0):
        return None
    smallest = float(values[values > 0].min())
    return smallest if values.min() > 0 else max(smallest, float(values.max()) / _WIDEST)


def _choose_edges(values: np.ndarray, linear: float | None) -> np.ndarray:
    """Return the edges of bins; whole numbers have separate bins if there are few."""
    if linear is not None:
        first = [] if values.min() > 0 else [0.0]
        return np.array([*first, *np.geomspace(linear, values.max(), _N_BINS + 1 - len(first))])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if low == high:  # one narrow bin among empty ones, because a bar as wide as the axes would suggest a spread
        around = 0.1 * abs(low)
        low, high = (low - around, high + around) if around else (0.0, 1.0)
    elif (values == np.round(values)).all() and high - low < _N_BINS:
        return np.arange(low - 0.5, high + 1)
    return np.linspace(low, high, _N_BINS + 1)
