"""Results as JSON documents: every kind matches its schema and reads back; invalid documents are refused."""

import contextlib
import copy
import json
import math
import pickle
import re
from functools import cache
from typing import get_args

import jsonschema
import numpy as np
import pandas as pd
import pytest
from every_result import MAKE, assert_results_equal, make
from hypothesis import given, settings, strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from pydantic import TypeAdapter
from refusals import refused

from simdeploy import InputError, __version__, read_result, result_schema
from simdeploy.documents import KINDS
from simdeploy.documents.models import _table
from simdeploy.plotting.figures import _FIGURES, draw_figure
from simdeploy.result import Columns, Result, to_plain
from simdeploy.scenario.measures import parse_event, parse_measure, parse_requirement


@cache
def text_of(name):
    """Return the written document of a result."""
    return json.dumps(make(name).to_dict(), indent=2, allow_nan=False)


def written(name):
    """Return the parsed document of a result."""
    return json.loads(text_of(name))


def problems_of(source):
    """Return the problems of a document."""
    return refused(read_result, source).problems


# -- back and forth ----------------------------------------------------------------------------------------------------


def test_every_kind_is_tried():
    """There is an example of every kind of result. [contract]"""
    assert set(MAKE) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_result_reads_back(name):
    """A document matches its schema, and gives the original result with its words. [contract]"""
    document, schema = written(name), result_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)
    again = read_result(text_of(name))
    assert_results_equal(again, make(name))
    assert again.to_dict() == document
    assert again.answer.endswith(".")


@pytest.mark.parametrize("name", KINDS)
def test_a_result_can_be_pickled(name):
    """A result that went through pickle has the same document and words. [contract]"""
    again = pickle.loads(pickle.dumps(make(name)))  # noqa: S301
    assert again.to_dict() == written(name)
    assert again.answer == make(name).answer


def test_a_document_is_a_file_a_text_or_a_mapping(tmp_path):
    """Each of them gives the same result. [contract]"""
    file = tmp_path / "result.json"
    file.write_text(text_of("Check"), encoding="utf-8")
    for source in (file, str(file), text_of("Check"), written("Check")):
        assert read_result(source).to_dict() == written("Check")


@pytest.mark.parametrize("name", _FIGURES)
def test_a_result_that_was_read_can_be_drawn(name):
    """A result that was read has the original's picture. [contract]"""
    pictures = []
    for result in (make(name), read_result(written(name))):
        figure = draw_figure(result)
        figure.set_layout_engine("none")  # which takes half the time, and depends only on what is drawn
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pictures.append(bytes(canvas.buffer_rgba()))
    assert pictures[0] == pictures[1]


CELLS = {
    "str": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    "float64": st.none() | st.floats(),
    "int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "Int64": st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
    "bool": st.booleans(),
    "boolean": st.none() | st.booleans(),
    "object": st.none() | st.booleans() | st.integers(0, 9) | st.text("ab"),
}


@given(st.fixed_dictionaries({dtype: st.lists(cells, min_size=3, max_size=3) for dtype, cells in CELLS.items()}))
def test_cells_of_every_type_survive(columns):
    """Whole numbers, infinities, texts and missing values read back unchanged, with their column's type. [property]"""
    dtypes = dict(zip(columns, columns, strict=True))
    frame = pd.DataFrame({dtype: pd.Series(values, dtype=dtype) for dtype, values in columns.items()})
    text = json.dumps(to_plain(frame), allow_nan=False)
    again = TypeAdapter(_table(Columns(dtypes), "cells")).validate_json(text)
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    signs = [np.signbit(one["float64"].fillna(0)) for one in (frame, again)]
    assert (signs[0] == signs[1]).all()


def test_documents_have_no_replications():
    """A result that was read says that it has no replications. [contract]"""
    again = read_result(written("Precision"))
    with pytest.raises(InputError, match="responses: a result read from a document has no replications"):
        _ = again.responses


# -- invalid documents -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_mistakes_are_named(name):
    """Each key that is missing, of another type or unknown is named. [contract]"""
    document, whole = written(name), {"result", "format", "dtypes"}
    for key in whole & set(document):
        for changed in ({other: document[other] for other in document if other != key}, {**document, key: [[0.5]]}):
            assert {problem.path[0] for problem in problems_of(changed)} == {key}
    few = {key: document[key] for key in document if key in whole}
    rest = [(key,) for key in document if key not in whole]
    assert {problem.path for problem in problems_of(few)} == set(rest)
    wrong = problems_of({**few, **{key: [[0.5]] for (key,) in rest}, "surplus": 1})
    assert {problem.path[:1] for problem in wrong} == {*rest, ("surplus",)}


@pytest.mark.parametrize("name", KINDS)
def test_mistakes_in_a_table_are_named(name):
    """Each cell that is missing, or of another type, is named with its row and column. [contract]"""
    document = written(name)
    tables = [table for table in make(name).tables() if document[table]]
    cells = {(table, 0, column) for table in tables for column in document[table][0]}
    for row_of in (lambda _: {}, lambda row: {key: {} for key in row}):
        changed = document | {table: [row_of(document[table][0]), *document[table][1:]] for table in tables}
        if cells:
            assert {problem.path for problem in problems_of(changed)} == cells


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "result: the kind of result is missing"),
        ('{"answer": "a is the best.", "estimates": []}', "write it again"),
        ({"result": "Chek", "format": 1}, "result: no such kind of result (found 'Chek')"),
        ({"result": "Chek", "format": 1}, "did you mean 'Check'?"),
        ({"result": ["Check"]}, "result: no such kind of result"),
        ({"result": "Check", "format": 2}, "format: unsupported format (found 2); allowed: 1"),
        ({"result": "Check"}, "format: unsupported format (found none); allowed: 1"),
        ('{"result": "Check", "result": "Check"}', "duplicate key"),
        ('{"result": NaN}', "not a JSON number"),
        ('{"result": ' + "[" * 100 + "]" * 100 + "}", "nested deeper than 64"),
        ('{"result": "Check"', "not valid JSON"),
        ("missing.json", "missing.json: can't be read: No such file or directory"),
        ({"result": {1, 2}}, "not valid JSON data"),
    ],
)
def test_invalid_documents_are_refused(source, message):
    """Another file, an old document, another version and broken JSON are refused with the reason. [contract]"""
    assert message in "\n".join(map(str, problems_of(source)))


def test_a_document_of_another_version_says_so():
    """The problems of an unreadable document begin with the version that wrote it, unless it is this one. [contract]"""
    document = written("Comparison")
    del document["recommended"]
    for version, n_problems in (("0.1.0", 2), (__version__, 1)):
        document["computed_under"]["versions"] = {"simdeploy": version}
        problems = problems_of(document)
        assert len(problems) == n_problems
        assert problems[-1].message == "required key is missing"
    document["computed_under"]["versions"] = {"simdeploy": "0.1.0"}
    assert str(problems_of(document)[0]).startswith("written by simdeploy 0.1.0; this is")


def test_a_problem_has_its_place(tmp_path):
    """A problem in a file has its name and line. [contract]"""
    file = tmp_path / "x.json"
    document = written("Check")
    document["verdicts"][0]["n"] = 1.5
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")
    (problem,) = problems_of(file)
    line = file.read_text(encoding="utf-8").splitlines()[problem.line - 1]
    assert (problem.file, line.strip()) == (str(file), '"n": 1.5,')
    assert str(problem).endswith("verdicts[0].n: wrong value (found 1.5); allowed: a valid integer")


def test_a_contradictory_document_is_refused():
    """Values of the right type that no analysis gives are a readable error. [contract]"""
    document = written("Check")
    assert problems_of({**document, "verdict": "met"})[0].path == ("verdict",)
    document["verdicts"][0]["of"] = "nonsense"
    assert "contradict each other" in problems_of(document)[0].message


def test_broken_texts():
    """A document cut off anywhere, or with an extra byte, is refused. [property]"""
    text = text_of("Check")
    for end in range(1, len(text) - 1, 97):
        problems_of(text[:end])
        problems_of(text[:end] + '"' + text[end:])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_no_document_breaks_the_reader(name, data):
    """Any value in place of another is read, or refused with a message. [property]"""
    document = inside = written(name)
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(inside[key], dict | list) or not inside[key] or data.draw(st.integers(0, 3)) == 0:
            break
        inside = inside[key]
    inside[key] = data.draw(
        st.sampled_from([None, True, -1, 1 << 70, 1e300, "", "better", "met", "Infinity", "a\x1b[2K", [], {}, [{}]])
    )
    with contextlib.suppress(InputError):
        read_result(document)


def test_wrongly_declared_columns_are_refused():
    """Column types other than the declared ones, and unknown types, are named. [contract]"""
    document = written("Estimates")
    for dtype in ("str", "complex128"):
        changed = copy.deepcopy(document)
        changed["dtypes"]["estimates"]["low"] = dtype
        assert problems_of(changed)[0].path == ("dtypes", "estimates", "low")


# -- verdicts ----------------------------------------------------------------------------------------------------------

# An answer states one of these verdicts, and would differ with another one in its place.
STATED = {
    "Backtest": {"reproduced.is_reproduced": False, "summary.n_yes": 1, "rollouts.may_differ": False},
    "Calibration": {"parameters.source": "assumed", "fits.chosen": False},
    "Check": {"verdicts.verdict": "not met"},
    "Comparison": {
        "ranking.verdict": "worse",
        "ranking.unknown_fraction": 0.5,
        "ranking.reason": "",
        "verdicts.verdict": "not met",
    },
    "CostResult": {"parts.is_cheapest": False, "parts.is_largest_cause": False},
    "Decisions": {"is_ok": False, "problems.answers_near": 0},
    "Discovery": {"boxes.is_found": False, "boxes.is_sure": False, "is_refused": True},
    "GateComparison": {"gates.verdict": "worse", "mixture.verdict": "worse", "fewest_failed_requests": None},
    "GridSummary": {"cells.false_alarm_unknown_fraction": 0.5},
    "InformationResult": {"policy": "another"},
    "ObservationResult": {"steps.verdict": "better"},
    "Forecast": {"is_trusted": False},
    "Advice": {"is_trusted": False, "best": "pause 10m", "waiting.pays": True},
    "OneRollout": {"responses.verdict": "escaped"},
    "PolicyImport": {"notes.fidelity": "exact"},
    "ParetoFront": {"cases.standing": "dominated"},
    "Precision": {"estimates.is_reached": True, "estimates.is_hardest": False, "is_reached": True},
    "Rare": {"is_trusted": False, "is_cheaper": False},
    "Robustness": {"regrets.verdict": "not met", "candidates.regret_verdict": "worse"},
    "Score": {"is_trusted": False, "probabilities.verdict": "too low"},
    "Selection": {"is_decided": True},
    "Sensitivity": {"is_refused": True, "is_constant": True, "is_first_sure": True},
    "Switches": {"values.verdict": "changes", "policies.is_chosen": False, "unsure_of": None},
    "Tradeoff": {"improvement": {"lever": "max_failed_nodes", "value": 8.0, "current": 10.0}},
    "Tuning": {"keeps_current": False, "expected_correct": None, "binding": "makespan_s <= 600"},
    "Verification": {"is_ok": False},
}
# These state only numbers.
NUMBERS = {"Estimates", "Timelines"}


def state(document, path, value):
    """Write a value into a document: into a field, or all cells of a column."""
    key, _, column = path.partition(".")
    changed = copy.deepcopy(document)
    if not column:
        changed[key] = value
    else:
        for row in changed[key] if isinstance(changed[key], list) else [changed[key]]:
            row[column] = value
    if column and "verdict" in changed:
        changed["verdict"] = value
    if path == "ranking.verdict":  # as it follows where all others are worse
        rows = [row for row in changed["ranking"] if row["response"] == "cost" and row["rank"] == 1]
        changed["recommended"] = [row["policy"] for row in rows]
    if path == "verdicts.verdict" and "none_meets" in changed:
        changed |= {"none_meets": value == "not met", "none_known_to_meet": value == "undecided"}
    if path == "policies.is_chosen":
        changed["choice"] = None
    if "is_undecided" in changed:
        changed["is_undecided"] = not changed["best"]
    if "wait" in changed:  # as it follows
        paying = [row for row in changed["waiting"] if row["pays"] and row["how"] != changed["best"]]
        changed["wait"] = max(paying, key=lambda row: row["worth"]) if paying and changed["best"] else None
    return settle(changed)


def settle(document):
    """Return a document with the number of replications that follows from the rest."""
    if document.get("replications_needed") is None:
        return document
    with pytest.raises(InputError) as caught:
        read_result({**document, "replications_needed": -1.0})
    problem = caught.value.problems[0]
    if problem.path != ("replications_needed",):
        return document
    needed = float(problem.allowed)
    return {**document, "replications_needed": None if math.isnan(needed) else needed}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in STATED.items() for path in paths])
def test_an_answer_follows_from_the_verdicts(name, path):
    """With another verdict in the document the answer changes, as it is decided nowhere else. [contract]"""
    document = written(name)
    answer = document["answer"]
    if path == "fewest_failed_requests":  # for which the answer has no room beside costs
        document = {**document, "cheapest": None}
        answer = read_result(document).answer
    changed = state(document, path, STATED[name][path])
    assert changed != document
    assert read_result(changed).answer != answer


def stretch(document, factor):
    """Widen every interval by a factor, and keep the verdicts."""
    changed = copy.deepcopy(document)
    for row in [row for rows in changed.values() if isinstance(rows, list) for row in rows if isinstance(row, dict)]:
        for low in [key for key in row if re.search(r"(^|_)low$", key)]:
            high, middle = f"{low[:-3]}high", row.get(low[:-4] or "estimate")
            if None not in (row[low], row[high], middle):
                row[low], row[high] = (middle + factor * (row[end] - middle) for end in (low, high))
    return settle(changed)


def without_numbers(answer):
    """Return the words of an answer, without numbers and units."""
    return re.sub(r"[-+]?[\d.,]*\d( %| min| h| s)?|no interval| to |[()]", "", answer)


@pytest.mark.parametrize("factor", [1e-4, 10])
@pytest.mark.parametrize("name", KINDS)
def test_an_answer_follows_only_from_the_verdicts(name, factor):
    """With the same verdicts, intervals that would imply others don't change the answer's words. [contract]"""
    document = written(name)
    answer = read_result(stretch(document, factor)).answer
    assert without_numbers(answer) == without_numbers(document["answer"])


@pytest.mark.parametrize("is_trusted", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_an_answer_gives_no_reasons_of_its_own(name, is_trusted):
    """Whether intervals can be trusted only marks them: what follows from it is in the document. [contract]"""
    document = written(name)
    changed = copy.deepcopy(document)
    for row in [row for rows in changed.values() if isinstance(rows, list) for row in rows if isinstance(row, dict)]:
        row |= {key: is_trusted for key in row if key.endswith("is_trusted")}
    assert read_result(changed).answer.replace("~", "") == document["answer"].replace("~", "")


@pytest.mark.parametrize("name", KINDS)
def test_a_document_has_what_follows_in_a_word(name):
    """A word, a yes or no, or an estimate that follows from the fields of a result is in its document, too. [contract]"""
    kinds = [kind for kind in type(make(name)).__mro__ if kind is not Result]
    derived = {key: of for kind in kinds for key, of in vars(kind).items() if isinstance(of, property)}
    words = {
        key
        for key, of in derived.items()
        if of.fget.__annotations__["return"] in ("bool", "str", "str | None", "float")
    }
    assert words <= set(written(name))


@pytest.mark.parametrize("ending", [".", "-" + "x" * 90, "-" + "x" * 300])
@pytest.mark.parametrize("name", KINDS)
def test_an_answer_of_long_names_stays_short(name, ending):
    """With any names, an answer has at most 240 characters and ends after a sentence, with one full stop. [contract]"""
    text = re.sub(r"\b(rolling|canary|all-at-once|eights|pooled)\b", rf"\1{ending}", text_of(name))
    answer = read_result(json.loads(text)).answer
    assert len(answer) <= 240
    assert answer.endswith(".")
    assert ".." not in answer


@pytest.mark.parametrize("name", [name for name in KINDS if name not in NUMBERS])
def test_every_verdict_of_an_answer_is_known_here(name):
    """Each kind of result with verdicts is among those tested above. [contract]"""
    assert STATED[name]


@pytest.mark.parametrize("name", KINDS)
def test_verdicts_are_words_of_a_few(name):
    """A column called verdict holds one of the words listed in its schema. [contract]"""
    document = written(name)
    for table, columns in make(name).tables().items():
        for column in [column for column in columns.dtypes if column.endswith("verdict")]:
            words = get_args(columns.words[column])
            assert {row[column] for row in document[table]} <= {*words, None}
            changed = state(document, f"{table}.{column}", "perhaps")
            if document[table]:
                assert problems_of(changed)[0].path == (table, 0, column)


def test_numbers_of_measures_are_written_in_full():
    """A limit or a quantile with many digits reads back unchanged. [property]"""
    for text in ("p99.99875 makespan_s", "p7 makespan_s", "makespan_s"):
        assert parse_measure(str(parse_measure(text))) == parse_measure(text)
    for text in ("makespan_s > 1234567.25 and escaped", "makespan_s > 3600"):
        assert parse_event(str(parse_event(text))) == parse_event(text)
    for text in ("makespan_s <= 1234567.25", "makespan_s <= 1h", "escaped <= 0.1"):
        assert parse_requirement(str(parse_requirement(text))) == parse_requirement(text)
