"""Regrets of candidates over worlds: where each one loses, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, format_factor, shorten_names
from simdeploy.experiments.levers import FACTOR_PREFIX
from simdeploy.plotting.marks import mark_rows
from simdeploy.plotting.style import DARK_GREY, GREY, PALE_GREY, contrast_to, in_plain_text, wrap_name
from simdeploy.plotting.wrapping import NARROW_PT, measure_axes
from simdeploy.report.formatting import difference_scale, find_cost_unit, format_number, measure_scale, with_unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from simdeploy.analysis.regret.robustness import Robustness

# Light is good; readable in grey and with any colour vision.
_COLOURS = "YlGnBu"
_SIZES = (
    ("medium", 6.4),
    ("small", 5.3),
    ("x-small", 4.5),
)  # font sizes of numbers, with the width of a character in points
_NAME_WIDTH = 20
_CHARACTER_PT = 5.5  # width of a tick label's character, including free space beside the label
_MISSES = "misses a\nrequirement"
_MISSES_PT = 42  # width of this text
_SUMMARY_PT = 52  # width of a column beside the cells


@in_plain_text
def plot_regret(ax: Axes, result: Robustness) -> Axes:
    """Draw the regret of each candidate in each world, and beside them each candidate's largest one.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about an inch of width per world, and half an inch of height per candidate, are enough.
    result : Robustness

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    Candidates are in the order of their largest regret. Colours are on a square root scale, so that small regrets are
    distinguishable, too. A cell is hatched, without colour, if a requirement is not met; a question mark means that this is
    undecided. Unknown cells are empty. The columns on the right, without colour, summarize the row.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.regret.robustness import estimate_regret
    >>> table = pd.DataFrame({
    ...     "case": [0, 1, 2, 3], "scenario": ["day", "night", "day", "night"], "policy": ["a", "a", "b", "b"],
    ...     "replication": 0, "makespan_s": [10.0, 40.0, 30.0, 30.0], "touched_nodes": 1,
    ... })
    >>> ax = plot_regret(Figure().subplots(), estimate_regret(table, of="makespan_s"))
    >>> [text.get_text() for text in ax.texts]
    ['0.0', '10.0', '20.0', '0.0', '10.0', '20.0']
    """
    from matplotlib.colors import PowerNorm

    candidates = list(result.candidates["candidate"])
    worlds = list(result.regrets["world"].unique())
    by_cell = result.regrets.set_index(["candidate", "world"])
    regrets = by_cell["regret"].unstack("world").loc[candidates, worlds].to_numpy()
    verdicts = by_cell["verdict"].unstack("world").loc[candidates, worlds].to_numpy(object)
    is_missed = verdicts == "not met"
    largest = 0.0 if np.isnan(regrets).all() else float(np.nanmax(regrets))
    scale = difference_scale(measure_scale(result.of, largest, find_cost_unit(result.computed_under)))
    widths = (result.regrets["regret_high"] - result.regrets["regret_low"]) / 2 * scale.factor
    uncertainty = float(widths[widths > 0].median()) if (widths > 0).any() else 0.0
    shown = np.ma.masked_where(is_missed | np.isnan(regrets), regrets * scale.factor)
    highest = largest * scale.factor or 1.0
    norm = PowerNorm(0.5, vmin=0, vmax=highest)
    image = ax.imshow(shown, cmap=_COLOURS, norm=norm, aspect="auto")
    _draw_borders(ax, is_missed)

    headings = ["largest\nregret", "requirements\nmet in"][: 1 + bool(result.requirements)]
    room_pt = (measure_axes(ax)[0] - len(headings) * _SUMMARY_PT) / len(worlds)
    summary_width = _SUMMARY_PT / max(room_pt, 1)
    places = [len(worlds) - 0.5 + (number + 0.5) * summary_width for number in range(len(headings))]
    ax.set_xlim(-0.5, len(worlds) - 0.5 + len(headings) * summary_width)
    words = [
        [_write(value * scale.factor, uncertainty, verdict) for value, verdict in zip(*row, strict=True)]
        for row in zip(regrets, verdicts, strict=True)
    ]
    longest = max(len(word) for row in words for word in row if word != _MISSES)
    sizes = [size for size, character_pt in _SIZES if (longest + 1) * character_pt < room_pt]
    misses = _MISSES if room_pt > _MISSES_PT else ""
    if sizes:
        # Cells with the same number have the same colour, or readers would see a difference.
        for row, column in np.argwhere(~np.ma.getmaskarray(shown)):
            shown[row, column] = float(words[row][column].rstrip("?").replace(",", ""))
        image.set_data(shown)
        _write_numbers(ax, image, shown, words, sizes[0], misses)
    label = with_unit(describe_measure(result.of), scale.unit)
    if not sizes:
        ax.figure.colorbar(image, ax=ax, label=f"regret in {label}", format="{x:,g}", ticks=_ticks(highest))
    _label_worlds(ax, result.regrets, worlds, places, headings, room_pt)
    numbers = [_write(value * scale.factor, uncertainty, "") for value in result.candidates["max_regret"]]
    _sum_up(ax, result, places, numbers)
    ax.set_yticks(range(len(candidates)), [_wrap(name) for name in candidates], parse_math=False)
    mark_rows(ax, "candidate", candidates)
    ax.tick_params(length=0)
    if measure_axes(ax)[0] < NARROW_PT:
        ax.tick_params(axis="y", labelsize="x-small")
    ax.spines[:].set_visible(False)
    title = f"Regret: {label} lost against the best policy of each world"
    notes = ["hatched: misses a requirement"] if is_missed.any() and not (sizes and misses) else []
    notes += ["?: undecided whether it meets the requirements"] if "undecided" in verdicts and sizes else []
    title = "\n".join([title, *notes])
    size = "small" if measure_axes(ax)[0] < NARROW_PT else "medium"
    ax.set_title(title, fontsize=size, loc="left" if size == "small" else "center")
    return ax


def _write(value: float, uncertainty: float, verdict: str) -> str:
    """Write a regret, or the symbol that replaces it."""
    if verdict == "not met":
        return _MISSES
    if np.isnan(value):
        return "unknown"
    return format_number(value, uncertainty) + ("?" if verdict == "undecided" else "")


def _ticks(largest: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [tick for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, largest) if 0 <= tick <= largest]


def _draw_borders(ax: Axes, is_missed: np.ndarray) -> None:
    """Draw lines between the cells, and hatch those in which a requirement is not met, whose regret doesn't matter."""
    from matplotlib.patches import Rectangle

    for (row, column), is_hatched in np.ndenumerate(is_missed):
        corner = column - 0.5, row - 0.5
        if is_hatched:
            ax.add_patch(Rectangle(corner, 1, 1, facecolor=PALE_GREY, edgecolor=GREY, hatch="////", linewidth=0))
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="white", linewidth=1))


def _write_numbers(
    ax: Axes, image: AxesImage, shown: np.ma.MaskedArray, words: list[list[str]], size: str, misses: str
) -> None:
    is_hidden = np.ma.getmaskarray(shown)
    for (row, column), value in np.ndenumerate(shown.data):
        text = words[row][column]
        look: dict[str, Any]
        if text == _MISSES:
            text = misses
            background = {"facecolor": PALE_GREY, "edgecolor": "none", "pad": 1}
            look = {"fontsize": "x-small", "color": "black", "bbox": background}
        elif is_hidden[row, column]:
            look = {"fontsize": size, "color": DARK_GREY}
        else:
            look = {"fontsize": size, "color": contrast_to(image.to_rgba(value))}
        ax.text(column, row, text, ha="center", va="center", **look)


def _sum_up(ax: Axes, result: Robustness, places: list[float], numbers: list[str]) -> None:
    """Write the summary of a candidate over all worlds beside each row."""
    n = len(result.regrets["world"].unique())
    for row, (candidate, number) in enumerate(zip(result.candidates.to_dict("records"), numbers, strict=True)):
        ax.text(places[0], row, number, ha="center", va="center", fontweight="bold")
        if result.requirements:
            n_met, n_open = (round(candidate[f"{name}_fraction"] * n) for name in ("met", "undecided"))
            text = f"{n_met} of {n}" + (f", {n_open}?" if n_open else "")
            ax.text(places[1], row, text, ha="center", va="center", fontsize="small")


def _label_worlds(
    ax: Axes, regrets: pd.DataFrame, worlds: list[str], places: list[float], headings: list[str], room_pt: float
) -> None:
    """Label the columns by the values that vary between worlds; the names of these are on the left."""
    table = regrets.drop_duplicates("world").set_index("world").loc[worlds]
    names = [str(name) for name in table if str(name).startswith(FACTOR_PREFIX) or name == "scenario"]
    names = [name for name in names if table[name].nunique(dropna=False) > 1]
    if names in ([], ["scenario"]) or table.duplicated(names).any():
        names, labels = [], [_wrap(world) for world in worlds]
    else:
        labels = ["\n".join(map(format_factor, names, values)) for values in table[names].to_numpy(object)]
    is_wide = max(len(line) for label in labels for line in label.split("\n")) * _CHARACTER_PT > room_pt
    if is_wide:
        labels = [label.replace("\n", ", ") for label in labels] if names else worlds
    ax.set_xticks([*range(len(worlds)), *places], [*labels, *headings], parse_math=False)
    ax.tick_params(axis="x", labelsize="small" if measure_axes(ax)[0] > NARROW_PT else 6)
    for tick in ax.get_xticklabels()[: len(worlds)] if is_wide else []:
        tick.set_rotation(90)
    if names:
        varied = [name for name in names if name != "scenario"]
        short = {"scenario": "scenario", **dict(zip(varied, shorten_names(varied), strict=True))}
        text = (", " if is_wide else "\n").join(short[name] for name in names)
        ax.annotate(
            text, (0, 0), xytext=(-4, -3.5), xycoords="axes fraction", textcoords="offset points",
            ha="right", va="top", fontsize="small", color=DARK_GREY,
        )  # fmt: skip


def _wrap(name: str) -> str:
    """Write each value in a name on a separate line."""
    return "\n".join(wrap_name(part, _NAME_WIDTH) for part in name.split(", "))
