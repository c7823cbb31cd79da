"""Where a policy breaks: the worlds with the box, and the path on which the box was found."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.asking.naming import name_factors
from simdeploy.analysis.discovery.columns import read_columns, write_ends
from simdeploy.analysis.discovery.result import WORLD, Discovery
from simdeploy.experiments.levers import is_duration
from simdeploy.plotting import style
from simdeploy.plotting.axes import count_ticks, set_time_axis, write_number
from simdeploy.plotting.style import in_plain_text, put_legend_above, write_above, write_beside
from simdeploy.plotting.wrapping import NARROW_PT, measure_axes, wrap_words
from simdeploy.report.formatting import PERCENT, format_amount
from simdeploy.statistics.boxes import Limits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


# If half of the values are in this fraction of their range, at its low end, the axis is logarithmic.
_LOW_HALF = 0.3
_STRETCH = 1.03

_MOST_RATIO = 2000  # of the ends of a logarithmic axis with room for ticks at 1, 2 and 5
_FAINT = 0.35
_BREAKS = "#A34700"  # vermilion, dark enough to stand out against the grey of worlds that hold
_LINE_PT = 11  # line height of a number beside the path


@in_plain_text
def plot_discovery(ax: Axes, result: Discovery, *, box: int = 1) -> Axes:
    """Draw all worlds over the two factors that a box depends on most, with the box.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : Discovery
    box : int, default 1
        Number of the box.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    The factors are those whose limits have the smallest quasi-p-values; if a box limits fewer than two, others are shown without
    limits. Further limits are in the title; worlds inside the rectangle that they exclude are paler. Limits are written at the ends
    of the lines that extend the edges. Unknown worlds are left out. A box that was not confirmed is dashed.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import find_boxes
    >>> rng = np.random.default_rng(0)
    >>> worlds = pd.DataFrame({"x": rng.random(400), "y": rng.random(400), "z": rng.random(400)})
    >>> result = find_boxes(worlds, (worlds["x"] > 0.6) & (worlds["y"] < 0.5))
    >>> ax = plot_discovery(Figure().subplots(), result)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x', 'y')
    """
    limits = result.limits[result.limits["box"].eq(box)].sort_values("quasi_p", kind="stable")
    factors = [name for name in result.worlds.columns if name not in WORLD]
    short = dict(zip(factors, name_factors(factors), strict=True))
    shown = list(dict.fromkeys([*limits["factor"], *factors]))[:2]
    x, *others = (_read_axis(result.worlds, name) for name in shown)
    y = others[0] if others else _Axis("", np.zeros(len(result.worlds)), ("",))
    _draw_worlds(ax, result, x, y, _is_beyond(result.worlds, limits[~limits["factor"].isin(shown)]))
    for which, axis in (("x", x), ("y", y)):
        _set_axis(ax, which, axis, short.get(axis.factor, ""))
    if len(limits):
        is_found = bool(result.boxes.loc[result.boxes["box"].eq(box), "is_found"].iloc[0])
        worlds = result.worlds
        is_tested = worlds["is_held_out"] & worlds["is_broken"].notna() & ~worlds["box"].between(1, box - 1)
        _draw_box(ax, limits, worlds[is_tested], x, y, is_found=is_found)
    title = wrap_words(ax, _say_box(result, limits, shown, box))
    ax.set_title(title, loc="left", fontsize="medium", pad=30)
    put_legend_above(ax, 2, borderaxespad=1.5, handletextpad=0.1, borderpad=0)
    return ax


def _draw_worlds(ax: Axes, result: Discovery, x: _Axis, y: _Axis, is_beyond: np.ndarray) -> None:
    """Draw worlds that hold as pale dots, and those that break as dark crosses on top; worlds beyond other limits are faint."""
    looks: tuple[tuple[bool, str, dict[str, Any]], ...] = (
        (False, "holds", {"s": 12, "color": style.LIGHT_GREY, "marker": "o", "linewidths": 0}),
        (True, "breaks", {"s": 26, "color": _BREAKS, "marker": "X", "linewidths": 0}),
    )
    for is_broken, label, look in looks:
        is_drawn = result.worlds["is_broken"].eq(is_broken).to_numpy(dtype=bool, na_value=False)
        ax.scatter(x.values[is_drawn & ~is_beyond], y.values[is_drawn & ~is_beyond], label=label, **look)
        ax.scatter(x.values[is_drawn & is_beyond], y.values[is_drawn & is_beyond], alpha=_FAINT, **look)


def _is_beyond(worlds: pd.DataFrame, limits: pd.DataFrame) -> np.ndarray:
    """Return which worlds are beyond limits of factors that have no axis."""
    is_beyond = np.zeros(len(worlds), dtype=bool)
    for limit in limits.to_dict("records"):
        (column,) = read_columns(worlds[[limit["factor"]]])
        if column.words is None:
            is_beyond |= (column.values < limit["low"]) | (column.values > limit["high"])
        else:
            allowed = [column.words.index(word) for word in str(limit["values"]).split(", ")]
            is_beyond |= ~np.isin(column.values, allowed)
    return is_beyond


def _say_box(result: Discovery, limits: pd.DataFrame, shown: list[str], box: int) -> str:
    """Describe the quality of the box, and its limits that have no axis."""
    subject = "it" if result.policy is None else result.policy
    if limits.empty:
        return f"Where {subject} breaks: no box was found"
    row = result.boxes[result.boxes["box"].eq(box)].iloc[0]
    name = "Box (may be chance)" if not row["is_found"] else "Box" if row["is_sure"] else "Box (by estimates)"
    density, coverage = (format_amount(row[column], PERCENT, digits=2) for column in ("density", "coverage"))
    lines = [f"Where {subject} breaks", f"{name}: {density} of its worlds break; it has {coverage} of all that break"]
    further = limits.loc[~limits["factor"].isin(shown), "limits"]
    if len(further):
        lines.append(f"further limits (pale: beyond): {' and '.join(further)}")
    return "\n".join(lines)


@in_plain_text
def plot_peeling_path(ax: Axes, result: Discovery, *, box: int = 1) -> Axes:
    """Draw the coverage and density of every box on the peeling path.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : Discovery
    box : int, default 1
        Number of the box that was searched for.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    The path begins at the right, with all worlds, and ends at the upper left. It is shown in the worlds of the search and in
    held-out worlds, which are the unbiased ones. The star is the final box in held-out worlds.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import find_boxes
    >>> x = np.random.default_rng(0).random(200)
    >>> ax = plot_peeling_path(Figure().subplots(), find_boxes(pd.DataFrame({"x": x}), x > 0.6))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['in the worlds of the search', 'in other worlds', 'chosen on the path', 'the box, in other worlds']
    """
    from matplotlib.ticker import MaxNLocator

    path = result.path[result.path["box"].eq(box)]
    boxes = result.boxes[result.boxes["box"].eq(box)]
    line: dict[str, Any] = {"markersize": 4, "linewidth": 1}
    star: dict[str, Any] = {"markersize": 15, "markeredgecolor": style.BLACK}
    for rows, stem, marks, colour, label, look in (
        (path, "", "o-", style.GREY, "in the worlds of the search", line),
        (path, "held_out_", "s--", style.BLUE, "in other worlds", line),
        (path[path["is_chosen"]], "", "o", style.ORANGE, "chosen on the path", {"markersize": 9}),
        (boxes, "", "*", style.VERMILION, "the box, in other worlds", star),
    ):
        if len(rows):
            x, y = 100 * rows[f"{stem}coverage"], 100 * rows[f"{stem}density"]
            ax.plot(x, y, marks, color=colour, label=label, **look)
    known = 100 * path[["coverage", "density", "held_out_coverage", "held_out_density"]].to_numpy(dtype=float)
    for which, numbers in (("x", known[:, ::2]), ("y", known[:, 1::2])):
        low = float(np.nanmin(numbers)) if np.isfinite(numbers).any() else 0.0
        margin = max(0.06 * (100 - low), 0.5)
        n_ticks = count_ticks(getattr(ax, f"{which}axis"), len("99.5 %"), 6)
        ticks = MaxNLocator(n_ticks, steps=[1, 2, 5, 10]).tick_values(low - margin, 100)
        ax.set(
            **{f"{which}ticks": [tick for tick in ticks if tick <= 100], f"{which}lim": (low - margin, 100 + margin)}
        )
    _number_factors(ax, path)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g} %")
    if measure_axes(ax)[0] < NARROW_PT:
        ax.tick_params(labelsize="x-small")
    ax.set_xlabel("share of all breaks that are in the box")
    ax.set_ylabel("share of the box's worlds that break")
    title = "Each point is a box, smaller to the left\nnumbers: factors with a limit"
    n_rows = put_legend_above(ax, 2)
    ax.set_title(title, loc="left", fontsize="medium", pad=10 + 13 * n_rows)
    return ax


def _number_factors(ax: Axes, path: pd.DataFrame) -> None:
    """Mark where on the path of the search another factor gets a limit, as far as there is room."""
    firsts = path[path["n_restricted"].diff().ne(0)]
    before_pt = math.inf
    for row in firsts.to_dict("records"):
        place = 100 * row["coverage"], 100 * row["density"]
        height_pt = ax.transData.transform(place)[1] * 72 / ax.figure.dpi
        if abs(height_pt - before_pt) >= _LINE_PT:
            before_pt = height_pt
            look: dict[str, Any] = {"va": "center", "fontsize": "small", "color": style.INK}
            ax.annotate(str(row["n_restricted"]), place, (6, 0), textcoords="offset points", **look)


class _Axis(NamedTuple):
    factor: str
    values: np.ndarray
    words: tuple[str, ...] | None

    @property
    def is_whole(self) -> bool:
        return self.words is None and bool((self.values == np.round(self.values)).all())

    @property
    def is_log(self) -> bool:
        low, high = float(self.values.min()), float(self.values.max())
        return self.words is None and 0 < low < high and np.median(self.values) - low < _LOW_HALF * (high - low)

    @property
    def ends(self) -> tuple[float, float]:
        low, high = float(self.values.min()), float(self.values.max())
        if self.words is not None:
            return -0.5, len(self.words) - 0.5
        if self.is_log:
            stretch = (high / low) ** (_STRETCH - 1)
            return low / stretch, high * stretch
        margin = (_STRETCH - 1) * ((high - low) or 1.0)
        return low - margin, high + margin


def _read_axis(worlds: pd.DataFrame, name: str) -> _Axis:
    """Return the positions of a factor's values; words are jittered so that all worlds are visible."""
    (column,) = read_columns(worlds[[name]])
    values = column.values
    if column.words is not None:
        values = values + 0.7 * (np.arange(len(values)) * (math.sqrt(5) - 1) / 2 % 1 - 0.5)
    return _Axis(name, values, column.words)


def _set_axis(ax: Axes, which: str, axis: _Axis, label: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    drawn = getattr(ax, f"{which}axis")
    if axis.words is not None:
        drawn.set_ticks(range(len(axis.words)), axis.words, parse_math=False)
    elif axis.is_log:
        ax.set(**{f"{which}scale": "log"})
        label = f"{label} (s)" if is_duration(axis.factor) else label
        if axis.values.max() / axis.values.min() < _MOST_RATIO:
            drawn.set_major_locator(LogLocator(subs=(1, 2, 5)))
            drawn.set_major_formatter(lambda value, _: f"{value:g}")
            drawn.set_minor_formatter(NullFormatter())
    else:
        drawn.set_major_locator(MaxNLocator("auto", integer=axis.is_whole, steps=[1, 2, 2.5, 5, 10]))
        drawn.set_major_formatter(write_number)
    drawn.set_label_text(label)
    ax.set(**{f"{which}lim": axis.ends})
    if is_duration(axis.factor) and axis.words is None and not axis.is_log:
        set_time_axis(drawn, axis.ends[1], label)


def _draw_box(ax: Axes, limits: pd.DataFrame, tested: pd.DataFrame, x: _Axis, y: _Axis, *, is_found: bool) -> None:
    """Draw a box; its limits have the digits that the tested worlds support, as in the answer."""
    from matplotlib.patches import Rectangle

    by_factor = {row["factor"]: row for row in limits.to_dict("records")}
    spans = []
    for which, axis in (("x", x), ("y", y)):
        row = by_factor.get(axis.factor)
        if row is None:
            spans.append([axis.ends])
        elif axis.words is not None:
            places = [axis.words.index(word) for word in str(row["values"]).split(", ")]
            spans.append([(place - 0.5, place + 0.5) for place in places])
        else:
            low, high = float(row["low"]), float(row["high"])
            spans.append([(max(low, axis.ends[0]), min(high, axis.ends[1]))])
            (column,) = read_columns(tested[[axis.factor]])
            for limit, text in zip((low, high), write_ends(Limits(low, high), column), strict=True):
                if axis.ends[0] < limit < axis.ends[1]:
                    _label_limit(ax, which, limit, text)
    area: dict[str, Any] = {"facecolor": style.ORANGE, "alpha": 0.18, "zorder": 0, "linewidth": 0}
    edge = {"fill": False, "edgecolor": style.INK, "linewidth": 1.6, "linestyle": "-" if is_found else "--"}
    for (left, right), (bottom, top) in product(*spans):
        for look in (area, edge):
            ax.add_patch(Rectangle((left, bottom), right - left, top - bottom, **look))


def _label_limit(ax: Axes, which: str, limit: float, text: str) -> None:
    """Write a limit outside of the axes, at the end of a line that extends the edge of the box."""
    draw_line, write = (ax.axvline, write_above) if which == "x" else (ax.axhline, write_beside)
    draw_line(limit, color=style.INK, linewidth=0.7, linestyle=":", zorder=0.5)
    write(ax, limit, text, fontweight="bold", color=style.INK)
