"""Conventions shared by all commands, checked for each of them."""

import contextlib
import io
import json
import re
import sys
from pathlib import Path

import click
import jsonschema
import pandas as pd
import pytest
from commands import (
    COMMANDS,
    COMPUTING,
    OF_SEEN,
    QUICK,
    REPORTING,
    SCENARIOS,
    SOMETIMES_LONG,
    WATCHING,
    WITH_ENGINE,
    call,
    make_quick,
)
from every_result import assert_results_equal
from invoking import invoke
from terminals import END, TIMEOUT_S, on_terminal, read_until

import simdeploy
from simdeploy.cli import study
from simdeploy.cli.command import EXIT_CODES
from simdeploy.cli.options import ENGINES
from simdeploy.engines import choice

# An option has one type and one help wherever it appears. Exceptions, with reasons:
DIFFERENT_DEFAULTS = {
    # Amounts suited to the question: differences of cases, curves, a choice under each setting, boxes, rare events.
    "replications": {100: {"tune"}, 200: {"verify"}, 400: {"compare", "sweep", "report", "discover", "sensitivity"},
                     500: {"switches"}, 1000: {"tradeoff", "gates", "timelines"}, 2000: {"forecast", "advise"}, 20_000: {"rare"}},
    # Of one case, or of a search.
    "most": {10_000: {"compare", "sweep", "check"}, None: {"tune"}},
    # The explorer's is a preference: if it is in use by default, any free port will do.
    "port": {8080: {"serve"}, 8765: {"explore"}},
    "method": {"morris": {"sensitivity"}, "importance": {"rare"}},
}  # fmt: skip
# Its default; available keys; two lists of methods; imports replace what the file states, records add to it.
DIFFERENT_HELP = {"policies", "vary", "method", "nodes"}
# Options that replace a number of rollouts.
OLD_NAMES = {"--rollouts", "--budget", "--most-rollouts", "--worlds", "--policies", "--timeline", "--runs"}


@pytest.fixture(autouse=True)
def few_cases(monkeypatch, tmp_path):
    """Verify few cases, and write into a temporary folder."""
    from simdeploy.validation.verification import verifying
    from simdeploy.validation.verification.rules import limits

    monkeypatch.setattr(verifying, "make_cases", lambda: limits()[:2])
    monkeypatch.chdir(tmp_path)


def list_options():
    """Yield every option of every command."""
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                yield name, option


# -- options -----------------------------------------------------------------------------------------------------------


def describe(option):
    """Return the properties that an option has in common wherever it appears."""
    kind = type(option.type).__name__, getattr(option.type, "choices", None) if option.name != "method" else None
    shape = (*sorted(option.opts), option.metavar, option.multiple, option.is_flag)
    return kind, shape, None if option.name in DIFFERENT_HELP else option.help


@pytest.mark.parametrize("name", sorted({option.name for _, option in list_options()}))
def test_an_option_is_the_same_everywhere(name):
    """An option has one form, one help and one default in all commands, except for the listed differences. [contract]"""
    options = {command: option for command, option in list_options() if option.name == name}
    assert len({describe(option) for option in options.values()}) == 1
    assert click.Choice not in {type(option.type) for option in options.values()}  # ours suggests the nearest
    defaults = {}
    for command, option in options.items():
        defaults.setdefault(option.default if isinstance(option.default, int | float | str) else None, set()).add(
            command
        )
    assert defaults == DIFFERENT_DEFAULTS.get(name, {next(iter(defaults)): set(options)})
    assert all(option.help and option.help.endswith((".", ")")) for option in options.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_have_the_common_options(name):
    """Commands that compute have --json and --out, those with policies --policy, and those that may take long --workers and --store. [contract]"""
    options = {text: option for _, option in list_options() if option in COMMANDS[name].params for text in option.opts}
    assert not OLD_NAMES & set(options)
    assert ("--json" in options) == (name in (*COMPUTING, "import"))
    assert ({"-o", "--out"} <= set(options)) == (name in (*COMPUTING, *REPORTING, "import"))
    assert ("--policy" in options) == (name in (*QUICK, *WATCHING, *REPORTING, "backtest"))
    for needed in ("--engine", "--workers", "--cluster", "--tls-cert", "--store"):
        # A calibration keeps its fits to other histories; an observation changes before there is much to keep.
        is_kept = name not in OF_SEEN or needed != "--store"
        is_here = name in REPORTING and needed != "--store"  # a page is a summary of few positions
        may_be_long = name in SOMETIMES_LONG and needed not in ("--engine", "--store")
        assert (needed in options) == (
            (name in WITH_ENGINE and is_kept) or is_here or may_be_long or (name, needed) == ("calibrate", "--store")
        )
    assert ("--confidence-level" in options) == (
        (name in WITH_ENGINE and name != "timelines")
        or name in ("backtest", "score", "explore", *REPORTING)  # timelines has quantiles
    )
    assert all(
        option.multiple and option.metavar == ("NAME|FILE" if name in (*QUICK, *WATCHING, *REPORTING) else "FILE")
        for text, option in options.items()
        if text == "--policy"
    )


@pytest.mark.parametrize("name", ["compare", "sweep", "timelines", "tradeoff", "gates", "discover", "sensitivity"])
def test_one_replication_is_singular(name):
    """The line on what a table is about is grammatical for one replication. [contract]"""
    assert ", 1 replication " in call(name, "--replications", "1").stdout.replace(": ", ", ")
    if name == "sweep":
        one = invoke(name, SCENARIOS / "small-fleet.yaml", "--vary", "max_failed_nodes=4", "--replications", "2")
        assert ", 1 case, 2 replications of each" in one.stdout


def test_engines_are_those_of_the_library():
    """--engine offers the engines of the library. [contract]"""
    assert set(ENGINES) == set(choice.ENGINES)


# -- help --------------------------------------------------------------------------------------------------------------


def test_the_list_of_commands_is_not_cut():
    """At 80 columns every command's line is a whole sentence. [contract]"""
    shown = invoke("--help", terminal_width=80).stdout
    lines = [line.split(maxsplit=1) for line in shown.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert [name for name, _ in lines] == list(COMMANDS)
    assert all(text.endswith(".") and not text.endswith("...") for _, text in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name):
    """Every --help fits 80 columns, begins with a sentence, and ends with an example and the exit codes. [contract]"""
    result = invoke(name, "--help", terminal_width=80)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"simdeploy {name}" in lines[lines.index("Example:") + 1]
    assert " ".join(result.stdout.split()).endswith(EXIT_CODES)


def test_an_unknown_command_suggests_the_nearest():
    """An unknown command gives a suggestion, or the list of commands. [contract]"""
    near, far = (invoke(word) for word in ("sweeep", "zzz"))
    assert (near.exit_code, far.exit_code) == (2, 2)
    assert "did you mean 'sweep'?" in near.stderr
    assert "allowed: new, examples, run, watch" in far.stderr


# -- what is printed and written ----------------------------------------------------------------------------------------


@pytest.fixture
def findings(monkeypatch):
    """Keep the findings of commands beside their output."""
    kept = []
    finish = study._finish
    monkeypatch.setattr(study, "_finish", lambda ctx, finding: (kept.append((ctx, finding)), finish(ctx, finding)))
    return kept


def finish_in_words(ctx, finding, *, full):
    """Return exit code and output in words and tables of a repeated command, without computing its finding again."""
    out = "out" if "out" in ctx.params else "table_or_text"
    assert {"full", "as_json"} <= set(ctx.params)
    ctx.params.update({"full": full, "as_json": False, out: Path("table.csv")})
    code = 0
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            study._finish(ctx, finding)
        except click.exceptions.Exit as end:
            code = end.exit_code
    return code, printed.getvalue()


@pytest.mark.parametrize("name", COMPUTING)
def test_output_and_files(name, findings):
    """--json is one object that matches its schema, -o writes it and read_result reads it; words are its answer and tables. [contract]"""
    printed = call(name, "--json", "-o", "all.json")
    assert printed.exit_code in (0, 1, 3), printed.stderr
    document = json.loads(printed.stdout, parse_constant=pytest.fail)
    assert json.loads(Path("all.json").read_text(encoding="utf-8")) == document
    jsonschema.Draft202012Validator(simdeploy.result_schema(document["result"])).validate(document)
    assert f"| `{name}` | `{document['result']}` |" in (SCENARIOS.parent / "docs" / "results.md").read_text(
        encoding="utf-8"
    )
    again = simdeploy.read_result("all.json")
    ((ctx, finding),) = findings
    assert_results_equal(again, finding.result)
    assert again.computed_under == document["computed_under"]
    assert "seed" in document["computed_under"]
    if name == "compare":
        assert document["computed_under"]["replications"] == 20
        assert document["computed_under"]["costs"]["escape"] > 0
    if name == "run":
        assert document["deployment"]["spec"]["strategy"] == "rolling"
    titles = [table.title for table in again.summarize()]
    for full in (True, False):
        code, words = finish_in_words(ctx, finding, full=full)
        assert code == printed.exit_code
        make_table = finding.table or finding.result.to_frame
        expected = pd.read_csv(io.StringIO(make_table().to_csv(index=False)))
        pd.testing.assert_frame_equal(pd.read_csv("table.csv"), expected, check_dtype=False)
        lines = words.splitlines()
        assert lines[0] == document["answer"]
        assert len(lines[0]) <= 240
        # The table behind the answer; all tables with --full.
        assert [line for line in lines if line in titles] == (titles if full else titles[:1])
        assert ("--full prints" in words) == (not full and len(titles) > 1)
        # In a file or a pipe: no trailing blanks, and tables of at most 100 columns.
        assert [line for line in lines if line != line.rstrip()] == []
        assert all(len(line) <= 100 for line in lines if line.startswith(" "))


ALL_ON_A_TERMINAL = """
import json, os, sys
import click
from simdeploy.cli import study
from simdeploy.cli.app import app
from simdeploy.validation.verification import verifying

finish = study._finish

def finish_at_every_width(ctx, finding):
    for columns in sys.argv[2:]:
        os.environ["COLUMNS"] = columns
        try:
            finish(ctx, finding)
        except click.exceptions.Exit:
            pass
        print(f"== {ctx.info_name} {columns}", flush=True)
    os.environ["COLUMNS"] = sys.argv[2]  # for the bar of the next command

if __name__ == "__main__":
    cases = verifying.make_cases()[:2]
    verifying.make_cases = lambda: cases
    study._finish = finish_at_every_width
    for arguments in json.loads(sys.argv[1]):
        try:
            app.main(arguments, prog_name="simdeploy")
        except SystemExit:
            pass
"""


@pytest.mark.slow
def test_a_terminal_is_wide_enough():
    """On 80 or 100 columns every line of every command fits, and no cell is cut. [contract]"""
    calls, widths = [make_quick(name) for name in COMPUTING], ("80", "100")
    command = [sys.executable, "-W", "ignore", "-c", ALL_ON_A_TERMINAL, json.dumps(calls), *widths]
    with on_terminal(command, columns=widths[0], stdout=None) as (process, terminal):
        shown = read_until(terminal, END)
        process.wait(timeout=TIMEOUT_S)
    plain = click.unstyle(shown).replace("\r\n", "\n")
    assert "…" not in plain
    parts = re.split(r"^== (\S+) (\d+)\n", plain, flags=re.MULTILINE)
    assert list(zip(parts[1::3], parts[2::3], strict=True)) == [(name, width) for name in COMPUTING for width in widths]
    for place, columns in enumerate(widths):
        printed = "".join(parts[:-1:3][place :: len(widths)])
        # A bar is overwritten, and never stays.
        lines = [
            line.rpartition("\r")[2] for line in printed.splitlines() if not line.startswith(("warning: ", "error: "))
        ]
        assert len(lines) > 100
        spec = {line for line in lines if line.startswith(" ") and '"' in line}
        assert [line for line in lines if len(line.rstrip()) > int(columns) and line not in spec] == []
