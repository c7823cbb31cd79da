"""What moves a response, or a choice: a bar for each factor or value of a switch, the longest on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.plotting.style import BLUE, INK, ORANGE, SKY_BLUE, VERMILION, in_plain_text
from simdeploy.report.sensitivity import index_scale, say_subject, short_names
from simdeploy.report.wording import difference_scale, find_cost_unit, scale_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.sensitivity.result import Sensitivity
    from simdeploy.analysis.switches.result import Switches
    from simdeploy.report.wording import Scale

# Of each method the index with the longer bars first: what it is called, its colour and its hatch.
_BARS = {
    "morris": (("mu_star", "mean absolute effect", BLUE, ""), ("sigma", "spread of effects", ORANGE, "///")),
    "sobol": (("total", "with all others", SKY_BLUE, "///"), ("first", "alone", BLUE, "")),
}
_BAR_HEIGHT = 0.38

# A flip has a word beside it, too.
_HOLDS, _FLIPS = BLUE, {"flips": VERMILION, "may flip": ORANGE}
_MOST_BARS = 24


@in_plain_text
def plot_sensitivity(ax: Axes, result: Sensitivity) -> Axes:
    """Draw how much each factor moves the response.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about half an inch of height per factor.
    result : Sensitivity

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Notes
    -----
    Morris: the mean absolute effect, and how much effects differ from place to place, which they do where a factor acts
    together with others or not in a straight line. Sobol: the total and the first order index, between which is what a
    factor does only together with others. Lines are intervals. Factors without an index have no bar.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import analyze_sensitivity, design_sensitivity
    >>> design = design_sensitivity({"x": (0.0, 1.0), "y": (0.0, 1.0)})
    >>> result = analyze_sensitivity(design, 3 * design.points["x"] - design.points["y"])
    >>> ax = plot_sensitivity(Figure().subplots(), result)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['x', 'y']
    """
    short = short_names(result)
    factors = list(dict.fromkeys(result.indices["factor"]))
    scale = index_scale(result)
    for number, (index, label, colour, hatch) in enumerate(_BARS[result.method]):
        rows = result.indices[result.indices["index"].eq(index)].set_index("factor").loc[factors]
        offset = (number - 0.5) * _BAR_HEIGHT
        places = [place + offset for place in range(len(factors))]
        ax.barh(
            places,
            rows["estimate"] * scale.factor,
            _BAR_HEIGHT,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            label=label,
        )
        _draw_intervals(ax, rows, places, scale.factor)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(factors)), [short[name] for name in factors], parse_math=False)
    ax.invert_yaxis()
    what = "part of the variance" if result.method == "sobol" else "effect from end to end of its range"
    unit = f", {scale.unit}" if scale.unit else ""
    ax.set_xlabel(f"{what}{unit}, with {100 * result.confidence_level:g} % intervals")
    ax.set_title(f"What moves {say_subject(result)}", fontsize="medium", parse_math=False)
    ax.legend(fontsize="small", loc="lower right")
    return ax


def _draw_intervals(ax: Axes, rows: pd.DataFrame, places: list[float], factor: float) -> None:
    known = rows["low"].notna().to_numpy()
    for place, (_, row), is_known in zip(places, rows.iterrows(), known, strict=True):
        if is_known:
            ax.plot([row["low"] * factor, row["high"] * factor], [place, place], color=INK, linewidth=1.4)


@in_plain_text
def plot_tornado(ax: Axes, result: Switches) -> Axes:
    """Draw the margin of the choice under every value that changes it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about a quarter of an inch of height per bar.
    result : Switches

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Notes
    -----
    A bar goes from the margin with the switches as they are to the margin under a value; the line is its interval. Left
    of 0 another policy is better. A word on the right says which policy is chosen where it is another one, also for
    reasons of its requirements. Where there is no margin (one policy, or only one that meets the requirements) bars are
    the change of the choice's measure. Values that change nothing, or under which nothing is known, have no bar; the
    label of the axis counts them.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.switches.varying import vary_switches
    >>> from simdeploy.scenario import Scenario
    >>> waves = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 4, "update_duration": "45s"},
    ...     "policies": {"at-once": {"strategy": "immediate"}, "waves": waves},
    ... })
    >>> result = vary_switches(scenario, of="makespan_s", replications=2, pairs=False, engine="reference")
    >>> ax = plot_tornado(Figure().subplots(), result)
    >>> [label.get_text() for label in ax.get_yticklabels()][0]
    'bake_time: 7m30s'
    """
    has_margin = bool(result.values["margin"].notna().any() and result.base["margin"].notna().all())
    name = "margin" if has_margin else "effect"
    start = float(result.base["margin"].iloc[0]) if has_margin else 0.0
    rows = result.values.assign(size=(result.values[name] - start).abs())
    flips = rows["verdict"].isin(_FLIPS)
    # A flip has a row even where no margin is left; a value that changes only what is not in question has none.
    moved = rows[flips | (rows["size"] > 0)].sort_values(["size"], ascending=False, kind="stable", na_position="first")
    shown = moved.iloc[:_MOST_BARS]
    scale = difference_scale(scale_of(result.of, shown[name], find_cost_unit(result.computed_under)))
    for place, (_, row) in enumerate(shown.iterrows()):
        _draw_bar(ax, place, row, name, start, scale)
    ax.set_yticks(
        range(len(shown)), [f"{row['switch']}: {row['value']}" for _, row in shown.iterrows()], parse_math=False
    )
    ax.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0, labelsize="small")
    ax.axvline(start * scale.factor, color=INK, linewidth=1)
    if has_margin:
        ax.axvline(0, color=INK, linewidth=1, linestyle=":")
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    _label(ax, result, scale, len(shown), has_margin=has_margin)
    return ax


def _draw_bar(ax: Axes, place: int, row: pd.Series, name: str, start: float, scale: Scale) -> None:
    value, low, high = (float(row[f"{name}{end}"]) * scale.factor for end in ("", "_low", "_high"))
    start *= scale.factor
    colour = _FLIPS.get(row["verdict"], _HOLDS)
    if not math.isnan(value):
        ax.barh(place, value - start, left=start, height=0.6, color=colour)
        ax.hlines(place, low, high, color=INK, linewidth=1)
    if row["verdict"] in _FLIPS:
        to = "no policy" if isinstance(row["choice"], float) else row["choice"]
        ax.annotate(
            f"{row['verdict']} to {to}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize="small",
            color=colour,
            parse_math=False,
        )


def _label(ax: Axes, result: Switches, scale: Scale, n_shown: int, *, has_margin: bool) -> None:
    measure, unit = describe_measure(result.of), f", {scale.unit}" if scale.unit else ""
    subject = result.choice or "the best policy"
    if has_margin:
        text = f"margin of {subject} over the best other policy in {measure}{unit}"
    else:
        text = f"change of {measure} of {subject}{unit}"
    verdicts = result.values["verdict"]
    n_unknown = int(verdicts.eq("not known").sum())
    n_others = int(verdicts.ne("not possible").sum()) - n_shown - n_unknown
    notes = [f"{n_others} further values change it by less or not at all" if n_others else ""]
    notes.append(f"{n_unknown} leave it unknown" if n_unknown else "")
    ax.set_xlabel(
        "\n".join([text, "; ".join(note for note in notes if note)]).strip(), fontsize="small", parse_math=False
    )
    ax.set_title(
        f"What each value of a switch does, with {100 * result.confidence_level:g} % intervals", fontsize="medium"
    )
