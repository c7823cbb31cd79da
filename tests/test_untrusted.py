"""Untrusted intervals: every picture of means draws them dashed, with one note, and is otherwise unchanged."""

from dataclasses import fields, is_dataclass, replace
from functools import partial

import every_result
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from drawn import draw, find_unreadable
from matplotlib.figure import Figure
from matplotlib.text import Text
from small import rolling, small

import simdeploy as sd
from simdeploy import plotting
from simdeploy.analysis import summarize_grid
from simdeploy.analysis.asking.verdicts import CONTAINS_0, UNTRUSTED
from simdeploy.plotting.intervals import add_interval, draw_intervals
from simdeploy.report.comparison import tabulate

NOTE = "dashed: may be too narrow"
# Results with trusted and with untrusted intervals, and their pictures on so many axes.
PICTURES = {
    "comparison": (partial(every_result.make, "Comparison"), lambda axes, result: plotting.plot_comparison(axes[0], result, response="cost"), 1),
    "costs": (partial(every_result.make, "CostResult"), lambda axes, result: plotting.plot_costs(axes[0], result), 1),
    "estimates": (lambda: sd.estimate(every_result.replications(), "cost"), lambda axes, result: plotting.plot_estimates(axes[0], result), 1),
    "observation": (partial(every_result.make, "ObservationResult"), lambda axes, result: plotting.plot_value_of_observation(axes[0], result, lever="minutes"), 1),
    "gates": (partial(every_result.make, "GateComparison"), plotting.plot_gates, 6),
    "heat map": (lambda: summarize_grid(sd.sweep(every_result.SCENARIO, "canary", vary={"max_failed_nodes": [0, 2, 4]}, **every_result.FEW)), lambda axes, result: plotting.plot_heatmap(axes, result, quantities=["makespan_s"]), 1),
    "tradeoff": (partial(every_result.make, "Tradeoff"), lambda axes, result: plotting.plot_tradeoff(axes[0], result), 1),
    "curve": (partial(every_result.make, "Tradeoff"), lambda axes, result: plotting.plot_tradeoff(axes[0], result, lever=result.levers[0].name), 1),
    "front": (partial(every_result.make, "ParetoFront"), lambda axes, result: plotting.plot_pareto(axes[0], result), 1),
    "sensitivity": (partial(every_result.make, "Sensitivity"), lambda axes, result: plotting.plot_sensitivity(axes[0], result), 1),
    "switches": (partial(every_result.make, "Switches"), lambda axes, result: plotting.plot_tornado(axes[0], result), 1),
    "tuning": (partial(every_result.make, "Tuning"), lambda axes, result: plotting.plot_tuning(axes[0], result), 1),
}  # fmt: skip


def with_trust(result, *, is_trusted):
    """Return a result with all or none of its intervals trusted."""
    tables = {
        field.name: (table := getattr(result, field.name)).assign(
            **{name: is_trusted for name in table if name.endswith("is_trusted")}
        )
        for field in fields(result)
        if isinstance(getattr(result, field.name), pd.DataFrame)
    }
    assert is_dataclass(result)
    return replace(result, **tables)


def picture(name, *, is_trusted):
    """Draw a picture; return its figure, solid and dashed lines, and the texts."""
    make, plot, n = PICTURES[name]
    # Only the layout of the picture with the notes is looked at.
    figure = Figure(figsize=(max(7, 3 * n), 6), layout="none" if is_trusted else "constrained")
    plot(figure.subplots(1, n, squeeze=False)[0], with_trust(make(), is_trusted=is_trusted))
    draw(figure)
    lines = [lines for ax in figure.axes for lines in ax.collections if hasattr(lines, "get_segments")]
    segments = [sorted(map(np.ndarray.tolist, each.get_segments())) for each in lines]
    dashed = [of for each, of in zip(lines, segments, strict=True) if each.get_label() == "_untrusted"]
    assert all(each.get_linestyle()[0][1] for each in lines if each.get_label() == "_untrusted")
    texts = [text.get_text() for text in figure.findobj(Text)]
    return figure, segments, dashed, [" ".join(text.split()) for text in texts]


@pytest.mark.parametrize("name", PICTURES)
def test_untrusted_intervals_are_dashed(name):
    """The same intervals are solid, or dashed with a note on each of their axes; nothing overlaps. [contract]"""
    figure, solid, dashed, texts = picture(name, is_trusted=True)
    assert not dashed
    assert not any(NOTE in text for text in texts)
    figure, others, dashed, texts = picture(name, is_trusted=False)
    assert dashed
    assert all(lines in others for lines in solid)
    with_some = [ax for ax in figure.axes if any(lines.get_label() == "_untrusted" for lines in ax.collections)]
    noted = [text for text in texts if NOTE in text]
    assert 1 <= len(noted) <= len(with_some)
    # Before 3.11 ticks of switches are too close.
    assert not find_unreadable(figure) or (name == "switches" and mpl.__version__ < "3.11")


def test_the_ranking_knows_which_limits_it_rests_on():
    """Differences of few skewed costs are untrusted in table and picture; those of many equal ones are trusted. [contract]"""
    rng = np.random.default_rng(2)
    for sigma, n, is_trusted in ((2.0, 30, False), (0.1, 400, True)):
        rows = [
            {"policy": policy, "replication": number, "makespan_s": 60 * rng.lognormal(place, sigma), "verdict": "completed_good"}
            for place, policy in enumerate("ab")
            for number in range(n)
        ]  # fmt: skip
        comparison = sd.compare(pd.DataFrame(rows))
        for frame in (comparison.ranking, comparison.pairs):
            of_makespan = frame[frame["response"].eq("makespan_s") & frame["given"].isna()]
            assert of_makespan["is_trusted"].eq(is_trusted).all()
        ax = plotting.plot_ranking(Figure().subplots(), comparison, of="makespan_s")
        assert (NOTE in " ".join(ax.get_xlabel().split())) is not is_trusted


def test_the_answer_says_why_a_rival_remains():
    """If no difference from a rival can be trusted, ranking and answer say so. [contract]"""
    why = f" may be as good ({UNTRUSTED})."
    cheap, dear = [10.0, 11.0], [30.0, 31.5]
    for of_policies, n, reason, ending in (
        ([cheap, dear], 10, UNTRUSTED, f", but b{why}"),
        ([cheap, dear, dear], 10, UNTRUSTED, f", but every other policy{why}"),
        ([[10.0, 11.0, 12.0, 9.0], [11.0, 10.0, 9.1, 12.0]], 200, CONTAINS_0, ", but b may be as good."),
        ([cheap, dear], 300, "", ", shorter than b."),
    ):
        rows = [
            {"policy": policy, "replication": number, "makespan_s": value}
            for policy, values in zip("abc", of_policies, strict=False)
            for number, value in enumerate(values * n)
        ]
        comparison = sd.compare(pd.DataFrame(rows))
        assert comparison.ranking["reason"].eq(reason).all()
        assert comparison.answer.endswith(ending)


def test_a_line_of_an_unknown_interval_is_not_drawn():
    """Half-known intervals are left to the caller, and one note serves all dashed ones. [contract]"""
    ax = Figure().subplots()
    draw_intervals(ax, "x", range(4), [0, np.nan, 0, 0], [1, 1, np.nan, 2], [True, False, False, False], linewidth=1)
    assert [len(lines.get_segments()) for lines in ax.collections] == [1, 1]
    ax.set_xlabel("cost")
    add_interval(ax, "x", 0.9)
    assert ax.get_xlabel() == f"cost, 90 % CI; {NOTE}"


@pytest.mark.parametrize("name", ["Comparison", "CostResult", "Estimates", "InformationResult", "ObservationResult"])
def test_answers_mark_them_as_tables_do(name):
    """Exactly the intervals of an answer that may be too narrow are marked. [contract]"""
    result = every_result.make(name)
    marked = with_trust(result, is_trusted=False).answer
    assert "(~95 % CI " in marked
    assert with_trust(result, is_trusted=True).answer == marked.replace("(~", "(")


def test_gaps_to_the_best_are_marked():
    """An interval against the best other policy is marked if it may be too narrow, and the title explains it. [contract]"""
    policies = {f"waves-{n}": rolling(n) for n in (3, 4, 6)}
    for n, is_marked in ((30, True), (2000, False)):
        rows = sd.replicate(small(policies=policies, costs={"hour_of_delay": 60}), replications=n, engine="compiled")
        tables = tabulate(sd.compare(rows))
        table = next(table for table in tables if "minus best other" in table.header)
        gaps = [row[table.header.index("minus best other")] for row in table.rows]
        assert [gap.startswith("~") for gap in gaps] == [is_marked] * 3
        assert table.title.endswith("; ~: interval may be too narrow") == is_marked


def test_a_search_says_why_others_may_be_as_good():
    """If no difference from an equally good policy can be trusted, table and answer of `tune` say so. [contract]"""
    result = every_result.make("Tuning")
    of_rival = {"policy": "runner-up 1", "difference": 2.0, "difference_low": 1.0, "difference_high": 3.0}
    result = replace(result, policies=pd.concat([result.policies, result.policies.assign(**of_rival)]))
    why = f"1 other may be as good ({UNTRUSTED})"
    for is_trusted, reason in ((True, CONTAINS_0), (False, UNTRUSTED)):
        marked = with_trust(result, is_trusted=is_trusted)
        marked = replace(marked, policies=marked.policies.assign(reason=reason))
        table = marked.summarize()[0]
        (cell,) = (row[table.header.index("minus recommended")] for row in table.rows if row[0] == "runner-up 1")
        assert ("(~" in cell) is not is_trusted
        assert "1 other may be as good" in marked.answer
        assert (why in marked.answer) is not is_trusted
