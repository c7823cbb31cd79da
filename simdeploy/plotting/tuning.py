"""Pictures of a search: all candidates with the recommended, the current and the default policy, and the settings that matter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.judging import MET, MISSED, UNDECIDED, join
from simdeploy.analysis.tuning.result import REFERENCE
from simdeploy.errors import plural
from simdeploy.plotting import style
from simdeploy.plotting.axes import label_points, set_measure_axis
from simdeploy.plotting.intervals import draw_intervals, tell_untrusted
from simdeploy.plotting.marks import mark_points
from simdeploy.plotting.style import BETTER, CURRENT, DEFAULT, Look, in_plain_text, say_nothing_known, set_rows
from simdeploy.report.formatting import find_cost_unit, format_number, measure_scale
from simdeploy.report.tuning import format_setting, name_policies
from simdeploy.report.wording import list_some

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.tuning import Tuning

# Rows of candidates, from the top, and how they are drawn.
_ALL, _MEETS, _UNDECIDED, _MISSES, _UNKNOWN = (
    "candidates", "meets the requirements", "undecided", "misses a requirement", "unknown"
)  # fmt: skip
_ROWS = {
    _ALL: Look(style.BLUE, "o"),  # without requirements
    _MEETS: Look(style.BLUE, "o"),
    _UNDECIDED: Look(style.ORANGE, "+"),
    _MISSES: Look(style.VERMILION, "x"),
    _UNKNOWN: Look(style.GREY, "+"),
}
# The row of each outcome, with requirements.
_ROW_OF = {
    **dict.fromkeys(("chosen", "indistinguishable from the choice", "not better", "eliminated"), _MEETS),
    "requirements undecided": _UNDECIDED,
    "requirement not met": _MISSES,
}
# The row of policies that are not candidates, by their verdict on all requirements.
_ROW_BY_VERDICT = {MET: _MEETS, UNDECIDED: _UNDECIDED, MISSED: _MISSES}
_ROLES = {"choice": ("recommended", BETTER), "current": ("current", CURRENT), "defaults": ("API defaults", DEFAULT)}
_MARKER_SIZES = {"*": 13, "o": 7, "s": 7}
_MUCH = 30  # a factor beyond which an axis is logarithmic
_JITTER = 0.3
_CHARACTER_PT = 4.6  # mean width of a character of a value
_HIDDEN_PT = 6  # distance of points that hide each other
_MOST_NAMED = 3  # values in a label


@in_plain_text
def plot_tuning(ax: Axes, result: Tuning) -> Axes:
    """Draw all candidates, and the recommended, the current and the default policy.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : Tuning

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    Candidates are at their first-stage estimates, in rows by whether they meet the requirements; the height within a row is
    random. The recommended, current and default policies are in front, at their estimates in new worlds, with intervals.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import tune
    >>> from simdeploy.plotting import plot_tuning
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"one-by-one": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> result = tune(scenario, of="makespan_s", vary={"max_parallel": [1, 2]}, engine="compiled")
    >>> plot_tuning(Figure().subplots(), result).get_xlabel().splitlines()[0]
    'makespan (min)'
    """
    frame = _read_candidates(result)
    row_of_role = _place_roles(result, frame)
    rows = [name for name in _ROWS if frame["row"].eq(name).any() or name in row_of_role.values()]
    # A fixed seed: the same heights in every picture of a result.
    heights = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(frame))
    for row, name in enumerate(rows):
        look, is_in = _ROWS[name], frame["row"].eq(name)
        ax.scatter(
            frame.loc[is_in, "estimate"], row + heights[is_in], s=7, color=look.colour, marker=look.marker,
            alpha=0.35 if len(frame) > 100 else 0.8, linewidths=0.0 if look.marker == "o" else 0.6, zorder=2,
        )  # fmt: skip
    counts = frame["row"].value_counts()
    set_rows(ax, [f"{name}\n{counts[name]:,}" if name in counts else name for name in rows])
    roles = result.policies[result.policies["measure"].eq(str(result.of))]
    _set_objective_axis(
        ax, result, np.concatenate([frame["estimate"], roles[["estimate", "low", "high"]].to_numpy().ravel()])
    )
    _draw_roles(ax, result, {role: rows.index(name) for role, name in row_of_role.items()})
    # Or a small mark further ahead could be taken for a better policy.
    note = f"small marks: rough first estimates; large marks: final ones, 95 % CI{tell_untrusted(ax)}"
    if n_unknown := result.n_candidates - len(frame):
        note += f"\n{plural(n_unknown, 'candidate')} without a value not shown"
    ax.set_xlabel(f"{ax.get_xlabel()}\n{note}")
    ax.tick_params(axis="y", labelsize="small")
    return ax


def _read_candidates(result: Tuning) -> pd.DataFrame:
    """Return the candidates that have an estimate, with their rows; equal ones have the same outcome."""
    frame = result.candidates[result.candidates["estimate"].notna() & result.candidates["outcome"].ne(REFERENCE)]
    outcomes = result.candidates.set_index("candidate")["outcome"]
    stands_for = frame["equal_to"].fillna(frame["candidate"])
    frame = frame.assign(outcome=outcomes.loc[stands_for].to_numpy()).reset_index(drop=True)
    return frame.assign(row=frame["outcome"].map(_ROW_OF).fillna(_UNKNOWN) if result.requirements else _ALL)


def _set_objective_axis(ax: Axes, result: Tuning, values: np.ndarray) -> None:
    from matplotlib.ticker import LogFormatter

    measure, unit = result.of, find_cost_unit(result.computed_under)
    values = values[np.isfinite(values)]
    lowest, largest = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 0.06 * (largest - lowest) or max(0.05 * abs(largest), 0.01)
    ax.set_xlim(lowest - room, largest + room)
    set_measure_axis(ax.xaxis, measure, largest, unit)
    if lowest > 0 and largest > _MUCH * lowest and not measure.is_fraction and not measure.is_duration:
        ax.set_xscale("log")
        ax.set_xlim(lowest / 1.3, largest * 1.3)
        ax.xaxis.set_major_formatter("{x:,g}")
        ax.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))
    ax.grid(visible=True, axis="x", color=style.PALE_GREY, linewidth=0.6)
    ax.set_axisbelow(True)


def _place_roles(result: Tuning, frame: pd.DataFrame) -> dict[str, str]:
    """Return the row of each policy of the result: that of equal candidates, or else that of its verdicts."""
    numbers = result.policies.groupby("policy")["candidate"].first()
    rows = {}
    for role in numbers.index.intersection(list(_ROLES)):
        found_in = frame.loc[frame["candidate"].eq(numbers[role]), "row"]
        verdicts = result.verdicts.loc[result.verdicts["policy"].eq(role), "verdict"]
        if not found_in.empty:
            rows[role] = str(found_in.iloc[0])
        elif result.requirements:
            rows[role] = _ROW_BY_VERDICT[join(verdicts.to_numpy(str)[None])[0].item()]
        else:
            rows[role] = _ALL
    return rows


def _draw_roles(ax: Axes, result: Tuning, rows: Mapping[str, int]) -> None:
    """Draw the policies of the result in their rows, each with its name and estimate."""
    unit = find_cost_unit(result.computed_under)
    roles = result.policies[result.policies["measure"].eq(str(result.of))].set_index("policy")
    points, words, names = [], [], []
    for role, (name, look) in _ROLES.items():
        is_repeated = role == "current" and result.keeps_current
        if is_repeated or role not in roles.index or not np.isfinite(roles["estimate"][role]):
            continue
        row = rows[role]
        value, low, high = (float(roles[column][role]) for column in ("estimate", "low", "high"))
        is_trusted = bool(roles["is_trusted"][role])
        draw_intervals(ax, "x", row, low, high, is_trusted, color=look.colour, linewidth=1.6, zorder=4)
        face = "white" if look is DEFAULT else look.colour
        ax.plot(
            value, row, look.marker, color=look.colour, markerfacecolor=face, markersize=_MARKER_SIZES[look.marker],
            markeredgecolor="white" if face != "white" else look.colour, label=name, zorder=5,
        )  # fmt: skip
        scale = measure_scale(result.of, value, unit)
        number = format_number(value * scale.factor, (high - low) / 2 * scale.factor)
        points.append((value, float(row)))
        names.append(name_policies(result)[role])
        both = " and current" if role == "choice" and result.keeps_current else ""
        words.append(f"{name}{both}: {number} {scale.unit}".rstrip())
    if points:
        label_points(ax, np.array(points), words, range(len(words)))
        mark_points(ax, "policy", names, points)


@in_plain_text
def plot_settings(ax: Axes, result: Tuning) -> Axes:
    """Draw the best estimate among candidates with each value of each setting.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about a quarter of an inch of height per setting.
    result : Tuning

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    Only candidates that may meet all requirements count, with their estimates of the first stage. The farther apart the
    points of a setting, the more it matters. Where candidates are a random sample, a point also depends on the other settings
    that were drawn with its value: compare points only if every combination was tried. A star marks the recommended value, a circle the current one. Values
    at one point share a label. Settings with a single value are left out; values without such a candidate are listed below the axis.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import tune
    >>> from simdeploy.plotting import plot_settings
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"one-by-one": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> result = tune(scenario, of="makespan_s", vary={"max_parallel": [1, 2]}, engine="compiled")
    >>> plot_settings(Figure().subplots(), result).get_xlabel().split(" (★")[0]
    'lowest makespan (min) tried with this value'
    """
    reachable = _find_reachable(result)
    is_min = result.direction == "min"
    settings = find_settings(result)
    if not settings:
        say_nothing_known(ax, _say_why_none(result, len(reachable)))
        return ax
    written = {name: _sort(reachable[name]).map(partial(format_setting, result, name)) for name in settings}
    best = {name: _find_best(reachable["estimate"], written[name], is_min=is_min) for name in settings}
    # Those that matter most are on top.
    order = sorted(settings, key=lambda name: -_spread(list(best[name].values())))
    set_rows(ax, [name.rpartition(".")[2] for name in order])
    _set_objective_axis(ax, result, np.array([value for values in best.values() for value in values.values()]))
    label = f"{'lowest' if is_min else 'highest'} {ax.get_xlabel()} tried with this value (★ recommended, ● current)"
    ax.set_xlabel(f"{label}\n{left_out}" if (left_out := _say_left_out(result)) else label)
    current, names = result.candidates.iloc[0], name_policies(result)
    # `result.choice` lacks settings that differ only in other policies of the scenario.
    recommended = result.candidates[result.candidates["outcome"].eq("chosen")]
    for row, name in enumerate(order):
        chosen = None if recommended.empty else format_setting(result, name, recommended[name].iloc[0])
        in_use = format_setting(result, name, current[name])
        _draw_setting(ax, row, best[name], chosen, in_use)
        for role, value in (("current", in_use), ("choice", chosen)):
            if role in names and value in best[name]:
                mark_points(ax, "policy", [names[role]], [(best[name][value], row + 0.12)])
    ax.tick_params(axis="y", labelsize="small")
    return ax


def _find_reachable(result: Tuning) -> pd.DataFrame:
    """Return the candidates that may meet all requirements."""
    frame = _read_candidates(result)
    return frame[frame["outcome"].map(_ROW_OF).eq(_MEETS if result.choice is not None else _UNDECIDED)]


def _say_why_none(result: Tuning, n_reachable: int) -> str:
    """Say why no setting has several values among so many candidates."""
    if n_reachable == 1 < result.n_candidates:
        return f"only one candidate {'may meet' if result.choice is None else 'meets'} all requirements"
    return "no setting has several values" if n_reachable else "no candidate meets all requirements"


def _say_left_out(result: Tuning) -> str:
    """List the values of each setting that no candidate has that may meet all requirements; empty if there are none."""
    reached = _list_values(result, _find_reachable(result))
    tried = _list_values(result, result.candidates[result.candidates["outcome"].ne(REFERENCE)])
    left_out = {name: [value for value in values if value not in reached[name]] for name, values in tried.items()}
    listed = [f"{name.rpartition('.')[2]} {list_some(values)}" for name, values in left_out.items() if values]
    why = "none meets all requirements" if result.requirements else "no value"
    return f"not shown ({why}): {'; '.join(listed)}" if listed else ""


def find_settings(result: Tuning) -> list[str]:
    """Return the settings with several values among candidates that may meet all requirements."""
    return [name for name, values in _list_values(result, _find_reachable(result)).items() if len(values) > 1]


def _list_values(result: Tuning, candidates: pd.DataFrame) -> dict[str, list[str]]:
    """Return the distinct values of each setting among candidates."""
    columns = list(result.candidates.columns)
    names = columns[columns.index("candidate") + 1 : columns.index("n")]
    return {name: candidates[name].map(partial(format_setting, result, name)).unique().tolist() for name in names}


def _find_best(estimates: pd.Series[float], values: pd.Series[str], *, is_min: bool) -> dict[str, float]:
    """Return the best estimate with each value of a setting."""
    by_value = estimates.loc[values.index].groupby(values, sort=False)
    return {str(value): float(estimate) for value, estimate in (by_value.min() if is_min else by_value.max()).items()}


def _sort(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return numbers in ascending order; others as they are."""
    from pandas.api.types import is_numeric_dtype

    return values.sort_values(kind="stable") if is_numeric_dtype(values) else values


def _spread(values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    return math.log(high / low) if low > 0 else high - low


def _draw_setting(ax: Axes, row: int, best: Mapping[str, float], chosen: str | None, current: str) -> None:
    """Draw the points of a setting with their values above them; values that are close to each other share a label."""
    ax.plot([min(best.values()), max(best.values())], [row, row], color=style.LIGHT_GREY, linewidth=1.0, zorder=2)
    for value, estimate in best.items():
        look = BETTER if value == chosen else CURRENT if value == current else Look(style.GREY, "o")
        is_small = look.colour == style.GREY
        ax.plot(
            estimate, row + 0.12, look.marker, color=look.colour, zorder=3 if is_small else 4,
            markersize=4 if is_small else 0.75 * _MARKER_SIZES[look.marker],
        )  # fmt: skip
    order = [value for value in (chosen, current, *sorted(best, key=lambda value: -best[value])) if value in best]
    groups = _group(ax, best, dict.fromkeys(value for value in order if value is not None))
    forms = {value: _write_forms(value, others, chosen, current) for value, others in groups.items()}
    # The most important first, since labels without room are left out: first their shortest forms, so that a long label of one
    # leaves room for the other.
    turns = [(value, forms[value][-1:]) for value in groups if value in (chosen, current)] + list(forms.items())
    labels: dict[str, str] = {}
    sides: dict[str, str] = {}
    taken: dict[str, tuple[float, float]] = {}
    for value, candidates in turns:
        elsewhere = [span for other, span in taken.items() if other != value]
        allowed = ["center", "left", "right"] if value in (chosen, current) else ["center"]
        for text in candidates:
            room = _find_room(ax, best[value], len(text) * _CHARACTER_PT, elsewhere, allowed)
            if room is not None:
                labels[value], (sides[value], taken[value]) = text, room
                break
    for value, text in labels.items():
        ax.annotate(
            text, (best[value], row + 0.12), xytext=(0, 3.5), textcoords="offset points", ha=sides[value], va="bottom",
            fontsize="x-small", fontweight="bold" if value == chosen else "normal", color=style.BLACK, zorder=5,
        )  # fmt: skip


def _write_forms(value: str, others: Sequence[str], chosen: str | None, current: str) -> list[str]:
    """Return the possible labels of a value and those that it hides, the longest first."""
    n = len(others)
    if not n:
        return [value]
    if n >= _MOST_NAMED:
        named = f"{value} and {n} more"
    elif value in (chosen, current):  # only this one is recommended, or in use
        named = f"{value} (also {', '.join(others)})"
    else:
        named = ", ".join([value, *others])
    return [named, f"{value} +{n}", value]


def _group(ax: Axes, best: Mapping[str, float], order: Iterable[str]) -> dict[str, list[str]]:
    """Return values in order, each with those after it that it hides, in the order of `best`."""
    groups: dict[str, list[str]] = {}
    places = {value: _find_place(ax, estimate) for value, estimate in best.items()}
    left = list(best)
    for value in order:
        if value in left:
            hidden = [other for other in left if abs(places[other] - places[value]) < _HIDDEN_PT]
            left = [other for other in left if other not in hidden]
            groups[value] = [other for other in hidden if other != value]
    return groups


def _find_place(ax: Axes, value: float) -> float:
    """Return where a value is drawn, in points from the left."""
    return float(ax.transData.transform((value, 0))[0]) * 72 / ax.figure.dpi


def _find_room(
    ax: Axes, value: float, width_pt: float, taken: Sequence[tuple[float, float]], sides: Sequence[str]
) -> tuple[str, tuple[float, float]] | None:
    """Return the alignment at which a label overlaps no other, and its place; None without room."""
    to_pt = 72 / ax.figure.dpi
    place_pt = _find_place(ax, value)
    left_pt, right_pt = (ax.transAxes.transform((end, 0))[0] * to_pt for end in (0, 1))
    for side in sides:
        start = place_pt - {"center": 0.5, "left": 0.0, "right": 1.0}[side] * width_pt
        end = start + width_pt
        is_free = all(end + _CHARACTER_PT < low or start > high + _CHARACTER_PT for low, high in taken)
        if is_free and left_pt <= start and end <= right_pt:
            return side, (start, end)
    return None
