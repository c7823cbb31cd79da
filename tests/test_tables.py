"""Tables for people: declared by columns, and written uniformly."""

import math
from itertools import product

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from simdeploy.report.formatting import NO_SCALE, PERCENT, format_estimate
from simdeploy.report.tables import Column, Kind, make_table, spread
from simdeploy.report.wording import list_some
from simdeploy.scenario.measures import parse_measure

SECONDS = parse_measure("makespan_s")
RATE = parse_measure("escaped")


def cells(kind, *values, **others):
    """Write the cells of one column."""
    scale = RATE if kind.endswith(("estimate", "difference")) else NO_SCALE
    rows = [{"x": value, "x_low": value, "x_high": value} | others for value in values]
    return make_table("", rows, [Column("x", "x", kind, scale)]).rows


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("text", "waves", "waves"),
        ("value", 0.05, "0.05"),
        ("count", 1200, "1,200"),
        ("number", 1234.56, "1,234.6"),
        ("digits", 1.23456, "1.235"),
        ("p-value", 0.0123, "0.012"),
        ("share", 0.256, "25.6 %"),
        ("yes", True, "yes"),
        ("yes", False, "no"),
        ("estimate", 0.25, "25.0 % (exact)"),
        ("stacked estimate", 0.25, "25.0 %\nexact"),
        ("difference", 0.25, "+25.0 pp (exact)"),
        ("stacked difference", -0.25, "-25.0 pp\nexact"),
    ],
)
def test_each_kind_of_cell(kind, value, cell):
    """A column's kind determines how cells are written, differences of percentages in points. [contract]"""
    assert cells(kind, value) == ((cell,),)


@pytest.mark.parametrize("kind", Kind.__args__)
def test_missing_values(kind):
    """A missing value is blank, except that an estimate has no value and a varied key is unset. [contract]"""
    words = {"value": "unset", "estimate": "no value", "stacked estimate": "no value"}
    assert cells(kind, math.nan, 0.5)[0] == (words.get(kind, ""),)


@pytest.mark.parametrize("kind", ["estimate", "share"])
def test_estimates_with_endless_rollouts(kind):
    """An estimate given with the number of endless rollouts is unknown if there are any. [contract]"""
    assert cells(kind, math.nan, x_unknown_fraction=0.1) == cells(kind, 0.5, x_unknown_fraction=0.1) == (("unknown",),)
    assert cells(kind, 0.5, x_unknown_fraction=0.0) == cells(kind, 0.5)


def test_a_measure_has_one_scale_in_a_column():
    """All rows use the unit that fits the largest one, or each the unit named in its row. [contract]"""
    frame = pd.DataFrame({"x": [30.0, 7200.0]}).assign(x_low=lambda rows: rows["x"], x_high=lambda rows: rows["x"])
    table = make_table("", frame, [Column("x", "x", "estimate", SECONDS)])
    assert [row[0].split()[1] for row in table.rows] == ["min", "min"]


def test_a_table_without_rows():
    """Without rows a table has its columns. [contract]"""
    table = make_table("", [], [Column("a", "A", below="note"), Column("x", "X", "estimate", SECONDS)])
    assert (table.header, table.rows) == (("A", "X"), ())


def test_empty_columns_are_left_out():
    """A column that is blank in all rows is left out; lines below a cell are no columns. [contract]"""
    columns = [Column("a", "A", below="note"), Column("b", "B"), Column("c", "C", "difference"), Column("d", "D")]
    nothing = {"b": "", "c": math.nan, "c_low": math.nan, "c_high": math.nan}
    rows = [{**nothing, "a": "1", "d": "", "note": "n = 3"}, {**nothing, "a": "2", "d": "why", "note": ""}]
    table = make_table("T", rows, columns)
    assert (table.title, table.header) == ("T", ("A", "D"))
    assert table.rows == (("1\nn = 3", ""), ("2", "why"))


def test_nothing_to_spread():
    """A frame without rows becomes one without rows. [contract]"""
    frame = pd.DataFrame({name: [] for name in ("policy", "of", "estimate", "low", "high")})
    assert make_table("", spread(frame, "policy", "of"), [Column("policy", "policy")]).rows == ()


@given(st.permutations(list(product("abc", "xy"))), st.integers(1, 6))
def test_spreading_keeps_order_and_numbers(pairs, n):
    """Rows and groups of columns come in the order of the frame, each with its own numbers; others are missing. [property]"""
    pairs = pairs[:n]
    rows = [
        {"policy": policy, "of": of, "estimate": f"{policy}{of}", "low": f"{policy}{of}-", "high": f"{policy}{of}+"}
        for policy, of in pairs
    ]
    wide = spread(pd.DataFrame(rows), "policy", "of")
    policies, measures = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    assert wide["policy"].tolist() == policies
    assert list(wide)[1:] == [f"{of}{end}" for of in measures for end in ("", "_low", "_high")]
    for of in measures:
        expected = [f"{policy}{of}+" if (policy, of) in pairs else "" for policy in policies]
        assert wide[f"{of}_high"].fillna("").tolist() == expected


@pytest.mark.parametrize(
    ("low", "high", "within"),
    [
        (0.2, 0.3, "20.0 to 30.0"),
        (0.2, math.nan, "20.0 or more"),
        (math.nan, 0.3, "at most 30.0"),
        (math.nan, math.nan, "no interval"),
    ],
)
def test_an_interval_may_have_one_end(low, high, within):
    """If only one end of an interval is known, that end is written. [contract]"""
    assert format_estimate(0.25, low, high, PERCENT).endswith(f"({within})")


@given(st.integers(1, 20), st.integers(1, 6))
def test_a_list_never_ends_with_one_more(n, most):
    """Of many words the first ones are listed with the number of others, which is never one. [property]"""
    text = list_some([f"w{place}" for place in range(n)], most)
    assert text.count("w") == (n if n <= most + 1 else most)
    assert "1 more" not in text or n - most > 9
