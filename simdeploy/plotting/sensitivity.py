"""Which factors move a response: a bar for each, the longest on top, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.plotting.colours import BLUE, INK, ORANGE, SKY_BLUE
from simdeploy.plotting.plain_text import in_plain_text
from simdeploy.report.sensitivity import index_scale, say_subject, short_names

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.sensitivity.result import Sensitivity

# Of each method the index with the longer bars first: what it is called, its colour and its hatch.
_BARS = {
    "morris": (("mu_star", "mean absolute effect", BLUE, ""), ("sigma", "spread of effects", ORANGE, "///")),
    "sobol": (("total", "with all others", SKY_BLUE, "///"), ("first", "alone", BLUE, "")),
}
_HEIGHT = 0.38


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
        offset = (number - 0.5) * _HEIGHT
        places = [place + offset for place in range(len(factors))]
        ax.barh(
            places, rows["estimate"] * scale.factor, _HEIGHT, color=colour, hatch=hatch, edgecolor="white", label=label
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
