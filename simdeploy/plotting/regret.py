"""Regrets of candidates over worlds: where each of them loses, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.plotting.style import GREY, contrast_to, in_plain_text, wrap_name
from simdeploy.report.wording import difference_scale, find_cost_unit, format_number, measure_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from simdeploy.analysis.regret.robustness import Robustness

# Light is where one wants to be; it reads in grey and with any colour vision.
_COLOURS = "YlGnBu"
_MOST_NUMBERED = 150  # cells that have room for their number
_NAME_WIDTH = 16


@in_plain_text
def plot_regret(ax: Axes, result: Robustness) -> Axes:
    """Draw the regret of each candidate in each world, and the largest of each candidate in a column of its own.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about an inch of width per world, and half an inch of height per candidate, are enough.
    result : Robustness

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Notes
    -----
    Candidates are in the order of their largest regret. Under a number stands where requirements are not met, or where
    that is undecided. A cell that isn't known is hatched.

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
    ['0.0', '10.0', '10.0', '20.0', '0.0', '20.0']
    """
    candidates = list(result.candidates["candidate"])
    worlds = list(result.regrets["world"].unique())
    by_cell = result.regrets.set_index(["candidate", "world"])
    regrets = by_cell["regret"].unstack("world").loc[candidates, worlds].to_numpy()
    verdicts = by_cell["verdict"].unstack("world").loc[candidates, worlds].to_numpy(object)
    shown = np.column_stack([regrets, result.candidates["max_regret"]])
    largest = 0.0 if np.isnan(shown).all() else float(np.nanmax(shown))
    image = ax.imshow(np.ma.masked_invalid(shown), cmap=_COLOURS, vmin=0, vmax=largest or 1.0, aspect="auto")
    ax.patch.set(facecolor="white", hatch="////", edgecolor=GREY, linewidth=0)
    ax.axvline(len(worlds) - 0.5, color="white", linewidth=4)
    unit = ""
    if shown.size <= _MOST_NUMBERED:
        unit = _write_numbers(ax, image, result, shown, verdicts, largest)
    ax.set_xticks(range(len(worlds) + 1), [_wrap(name) for name in [*worlds, "largest"]], parse_math=False)
    ax.tick_params(axis="x", labelrotation=0 if len(worlds) < 8 else 60, labelsize="small")
    ax.set_yticks(range(len(candidates)), [_wrap(name) for name in candidates], parse_math=False)
    ax.tick_params(length=0)
    title = f"Regret in {describe_measure(result.of)}" + (f", {unit}" if unit else "")
    ax.set_title(title + ": lost against the best candidate of each world", fontsize="medium", parse_math=False)
    return ax


def _write_numbers(
    ax: Axes, image: AxesImage, result: Robustness, shown: np.ndarray, verdicts: np.ndarray, largest: float
) -> str:
    """Write each regret, and what is to be said of the requirements; return the unit."""
    scale = difference_scale(measure_scale(result.of, largest, find_cost_unit(result.computed_under)))
    widths = (result.regrets["regret_high"] - result.regrets["regret_low"]) / 2 * scale.factor
    uncertainty = float(widths[widths > 0].median()) if (widths > 0).any() else 0.0
    for (row, column), value in np.ndenumerate(shown):
        if np.isnan(value):
            continue
        verdict = verdicts[row, column] if column < verdicts.shape[1] else ""
        text = format_number(value * scale.factor, uncertainty)
        text += f"\n{verdict}" if verdict in ("not met", "undecided") else ""
        ax.text(column, row, text, ha="center", va="center", fontsize="small", color=contrast_to(image, value))
    return scale.unit


def _wrap(name: str) -> str:
    """Write each value of a name on lines of its own."""
    return "\n".join(wrap_name(part, _NAME_WIDTH) for part in name.split(", "))
