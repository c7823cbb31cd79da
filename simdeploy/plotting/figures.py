"""Whole figures of results: panels and their sizes, by the type of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from simdeploy import plotting
from simdeploy.analysis.comparison.measured import name_rows as name_measures
from simdeploy.plotting.check import name_rows
from simdeploy.plotting.slices import list_slices
from simdeploy.plotting.timelines import draw_bands, fit_beside
from simdeploy.plotting.tuning import find_settings

if TYPE_CHECKING:
    from simdeploy.analysis.advice.result import Advice, Forecast
    from simdeploy.analysis.bands.result import Timelines
    from simdeploy.analysis.checking.checking import Check
    from simdeploy.analysis.comparison.compare import Comparison
    from simdeploy.analysis.costs.observation import ObservationResult
    from simdeploy.analysis.discovery.result import Discovery
    from simdeploy.analysis.estimates.estimating import Estimates
    from simdeploy.analysis.estimates.grid import GridSummary
    from simdeploy.analysis.gates.result import GateComparison
    from simdeploy.analysis.scoring.result import Score
    from simdeploy.analysis.switches.result import Switches
    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.analysis.tuning.result import Tuning
    from simdeploy.result import Result

MOST_SLICES = 4  # of a sweep over more than two keys
_MOST_BARS = 18  # of a tornado plot
_MOST_ESTIMATED = 4  # measures with a panel each


def draw_figure(result: Result) -> Figure | None:
    """Return the picture of a result, with all its panels; None if its type has none, or if there is nothing to draw.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy import compare
    >>> table = pd.DataFrame({
    ...     "policy": ["fast"] * 3 + ["slow"] * 3, "replication": [0, 1, 2] * 2,
    ...     "makespan_s": [60.0, 80.0, 70.0, 100.0, 121.0, 111.0],
    ... })
    >>> len(draw_figure(compare(table)).axes)
    1
    """
    draw = _FIGURES.get(type(result).__name__)
    return None if draw is None else draw(result)


def stack_panels(
    size: tuple[float, float], *plots: Callable[..., object], of: Sequence[Any], height_ratios: Sequence[float]
) -> Figure:
    """Return a figure with panels one below the other, one for each of the results `of`."""
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(plots), 1, squeeze=False, height_ratios=height_ratios)
    for ax, plot, result in zip(panels[:, 0], plots, of, strict=True):
        plot(ax, result)
    return figure


def _alone(plot: str, width: float, height: float, per_row: float = 0, rows: str = "") -> Callable[[Any], Figure]:
    """Return a function that draws one panel, `per_row` inches higher for each row of a table or item of a field."""

    def draw(result: Any) -> Figure:
        n = len(getattr(result, rows)) if rows else 0
        figure = Figure(figsize=(width, height + per_row * n), layout="constrained")
        getattr(plotting, plot)(figure.subplots(), result)
        return figure

    return draw


def _draw_advice(result: Advice) -> Figure:
    """Draw the course, the kinds of release, and the acts if they have costs."""
    if result.acts["cost"].isna().all():
        return _draw_forecast(result)
    figure = Figure(figsize=(10, 4.2 + 0.4 * len(result.acts)), layout="constrained")
    panels = figure.subplot_mosaic([["course", "kinds"], ["course", "acts"]], width_ratios=(3, 2))
    plotting.plot_forecast(panels["course"], result)
    plotting.plot_kinds(panels["kinds"], result)
    plotting.plot_acts(panels["acts"], result)
    return figure


def _draw_forecast(result: Advice | Forecast) -> Figure:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    course, kinds = figure.subplots(1, 2, width_ratios=(3, 2))
    plotting.plot_forecast(course, result)
    plotting.plot_kinds(kinds, result)
    return figure


def _draw_check(result: Check) -> Figure:
    """Draw rows that are high enough for the longest label."""
    n_lines = max(label.count("\n") + 1 for label in name_rows(result))
    return _alone("plot_check", 7, 1.3, 0.15 * max(n_lines, 3), "verdicts")(result)


def _draw_comparison(result: Comparison) -> Figure:
    """Draw the verdicts, or if there are none, as for a restart or stop, what policies are judged by."""
    known = result.estimates.dropna(subset="estimate")
    measures = {*known["response"], *name_measures(known)}
    choices = ("verdict", *result.judged_by, *result.estimates["response"])
    shown = next((name for name in choices if name in measures), result.estimates["response"].iloc[0])
    figure = Figure(figsize=(8, 1.4 + 0.6 * len(result.policies)), layout="constrained")
    plotting.plot_comparison(figure.subplots(), result, response=shown)
    return figure


def _draw_discovery(result: Discovery) -> Figure:
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    boxes, path = figure.subplots(1, 2)
    plotting.plot_discovery(boxes, result)
    plotting.plot_peeling_path(path, result)
    return figure


def _draw_estimates(result: Estimates) -> Figure:
    """Draw a panel for each of the first measures."""
    measures = result.measures[:_MOST_ESTIMATED]
    n_rows = len(result.estimates) // len(result.measures)
    figure = Figure(figsize=(7.5, len(measures) * (1.2 + 0.4 * n_rows)), layout="constrained")
    for ax, measure in zip(figure.subplots(len(measures), 1, squeeze=False)[:, 0], measures, strict=True):
        plotting.plot_estimates(ax, result, measure=measure)
    return figure


def _draw_gates(result: GateComparison) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    plotting.plot_gates(figure.subplots(2, 3), result)
    return figure


def _draw_grid(result: GridSummary) -> Figure | None:
    """Draw a row for each combination of the other keys; None if nothing was varied."""
    if not any(result.cells[name].nunique() > 1 for name in result.factors):
        return None
    slices = list_slices(result)[:MOST_SLICES]
    figure = Figure(figsize=(9.6, 3.6 * len(slices)), layout="constrained")
    for axes, at in zip(figure.subplots(len(slices), 3, squeeze=False), slices, strict=True):
        plotting.plot_heatmap(axes, result, at=at)
    return figure


def _draw_observation(result: ObservationResult) -> Figure:
    levers = result.steps["lever"].drop_duplicates().tolist()
    figure = Figure(figsize=(5 * len(levers), 3.8), layout="constrained")
    for ax, lever in zip(figure.subplots(1, len(levers), squeeze=False)[0], levers, strict=True):
        plotting.plot_value_of_observation(ax, result, lever=lever)
    return figure


def _draw_score(result: Score) -> Figure:
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    plotting.plot_score(left, result)
    plotting.plot_score(right, result, event="completed")
    return figure


def _draw_switches(result: Switches) -> Figure:
    n_bars = int(result.values["has_effect"].eq(True).sum())
    return _alone("plot_tornado", 7, 1.6 + 0.2 * min(n_bars, _MOST_BARS))(result)


def _draw_timelines(result: Timelines) -> Figure:
    """Draw a row for each quantity and a column for each kind of release."""
    releases = result.peaks["release"].drop_duplicates().tolist()
    names = result.peaks["quantity"].drop_duplicates().tolist()
    figure = Figure(figsize=(1.2 + 3.6 * len(releases), 0.6 + 2.4 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(releases), squeeze=False, sharex=True, sharey="row")
    is_labelled = fit_beside(panels[0, 0], result)
    if not is_labelled:
        n_policies = result.bands["policy"].nunique()
        figure.set_figheight(figure.get_figheight() + 0.35 * -(-n_policies // len(releases)))
    for row, name in zip(panels, names, strict=True):
        for ax, release in zip(row, releases, strict=True):
            draw_bands(ax, result, name, release, is_labelled=is_labelled)
            ax.label_outer()
    if not is_labelled:
        legend = figure.legend(
            *panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=len(releases), fontsize="small",
            frameon=False,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _draw_tradeoff(result: Tradeoff) -> Figure:
    """Draw the curves; with default axes, a second panel shows the third and fourth measures."""
    pairs = [result.axes[place : place + 2] for place in (0, 2) if len(result.axes) >= place + 2]
    figure = Figure(figsize=(4.2 * len(pairs), 3.9), layout="constrained")
    for ax, (x, y) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
        plotting.plot_tradeoff(ax, result, x=x, y=y)
    return figure


def _draw_tuning(result: Tuning) -> Figure:
    """Draw all candidates, and below them what can be achieved with each value of each setting."""
    below = 0.6 + 0.25 * max(len(find_settings(result)), 1)  # inches
    plots = (plotting.plot_tuning, plotting.plot_settings)
    return stack_panels((7.5, 2.4 + below), *plots, of=(result, result), height_ratios=[1.6, below])


_FIGURES: dict[str, Callable[[Any], Figure | None]] = {
    "Advice": _draw_advice,
    "Backtest": _alone("plot_backtest", 8, 1.6, 0.5, "policies"),
    "Calibration": _alone("plot_calibration", 5.5, 4.5),
    "Check": _draw_check,
    "Comparison": _draw_comparison,
    "CostResult": _alone("plot_costs", 8, 1.2, 0.6, "totals"),
    "Discovery": _draw_discovery,
    "Estimates": _draw_estimates,
    "Forecast": _draw_forecast,
    "GateComparison": _draw_gates,
    "GridSummary": _draw_grid,
    "ObservationResult": _draw_observation,
    "ParetoFront": _alone("plot_pareto", 5, 4.2),
    "Rare": _alone("plot_rare", 6.4, 4.2),
    "Robustness": _alone("plot_regret", 8, 1.6, 0.5, "candidates"),
    "Score": _draw_score,
    "Sensitivity": _alone("plot_sensitivity", 6.6, 1.8, 0.5, "factors"),
    "Switches": _draw_switches,
    "Timelines": _draw_timelines,
    "Tradeoff": _draw_tradeoff,
    "Tuning": _draw_tuning,
}
