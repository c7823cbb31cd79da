"""The documents are correct: examples run, pictures show their data, lists are complete, links work."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import math
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import simdeploy
from simdeploy import vocabulary
from simdeploy.cli.app import app
from simdeploy.engines.running import run_block
from simdeploy.rules.orchestrator import Orchestrator

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "scenarios/README.md")
PAGES = [
    *(ROOT / name for name in NAMES),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "dialects").glob("*.md")),
]


def name_page(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script(compiled_engine):
    """Import a script from docs/."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "docs"))


class WithoutTrailingBlanks(doctest.OutputChecker):
    """pandas pads its headings with blanks, which documents omit."""

    def check_output(self, want, got, optionflags):
        got = "".join(f"{line.rstrip()}\n" for line in got.splitlines())
        return super().check_output(want, got, optionflags)


def run_session(block, namespace, page):
    session = doctest.DocTestParser().get_doctest(block.body, namespace, page.name, str(page), block.line - 1)
    assert session.examples, f"line {block.line}: a Python block without a session"
    failures = []
    doctest.DocTestRunner(WithoutTrailingBlanks()).run(session, out=failures.append, clear_globs=False)
    namespace.update(session.globs)
    assert not failures, "".join(failures)


def run_quickly(scenario, policies, *, engine, **options):
    """Run a block on the compiled engine."""
    return run_block(scenario, policies, engine="compiled", **options)


# The command with its arguments, up to a redirection of its output.
CALL = re.compile(r'simdeploy((?: (?:"[^"]*"|[^ "|;>])+)*)')


SCRIPT = re.compile(r"python (\w+\.py(?: [\w.-]+)*)")


def run_script(arguments):
    """Run a script with its arguments in this process; return what it prints."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setattr(sys, "argv", arguments)
        runpy.run_path(arguments[0], run_name="__main__")
    return printed.getvalue()


def run_here(command, folder, run_command):
    """Run a command line as a shell would, with simdeploy in this process, where everything is imported and compiled."""
    script, call = SCRIPT.fullmatch(command), CALL.match(command)
    if script is not None:
        return run_script(script[1].split())
    if call is None:
        return run_command(command, folder)
    with pytest.MonkeyPatch.context() as patch:
        # Whichever engine a command chooses, the numbers are the same (tests/test_engines_equal.py).
        patch.setattr("simdeploy.engines.running.run_block", run_quickly)
        done = CliRunner().invoke(app, shlex.split(call[1]), catch_exceptions=False)
    if call.end() == len(command):
        return "".join(f"{line.rstrip()}\n" for line in done.output.rstrip().splitlines())
    (folder / ".out").write_text(done.stdout, encoding="utf-8")
    (folder / ".err").write_text(done.stderr, encoding="utf-8")
    rest = command[call.end() :].strip()
    if rest.startswith("|"):
        # In order of time, whichever end of the pipe is faster: files are written last.
        return run_command(f"grep -v ^wrote .err >&2; cat .out {rest}; grep ^wrote .err >&2", folder)
    stand_in = f"simdeploy() {{ cat .out; cat .err >&2; return {done.exit_code}; }}"
    return run_command(f"{stand_in}; simdeploy {rest}", folder)


# Long work that other tests do, and compare with the page.
ELSEWHERE = {"simdeploy verify --replications 100 | head -1"}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_examples(page, script, tmp_path, monkeypatch):
    """Every command and Python session of a document gives exactly the output shown. [contract]"""
    examples = script("examples")
    text = page.read_text(encoding="utf-8")
    examples.make_folder(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in examples.read_blocks(text):
        if block.language == "console":
            commands = examples.read_commands(block)
            assert commands, f"line {block.line}: a console block without a command"
            assert "".join(f"$ {command}\n{output}" for command, output in commands) == block.body
            for command in commands:
                if command.command not in ELSEWHERE:
                    assert run_here(command.command, tmp_path, examples.run_command) == command.output, command.command
        elif block.language in ("python", "pycon"):
            run_session(block, namespace, page)


def test_pictures_show_the_output_above_them(script):
    """A picture drawn by a documented command is shown, with the stamp of the command's output. [contract]"""
    examples, pictures = script("examples"), script("pictures")
    drawn = {"false-alarms.png", "node-life.png", "explore.png", *script("gallery").PICTURES}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = [block for block in examples.read_blocks(text) if block.language == "console"]
        for command in (command for block in blocks for command in examples.read_commands(block)):
            if command.picture is not None:
                assert f"images/{command.picture})" in text
                assert pictures.read_stamp(pictures.IMAGES / command.picture) == pictures.digest(command.output)
                drawn.add(command.picture)
    assert {path.name for path in pictures.IMAGES.glob("*.png")} == drawn


class TestGallery:
    """The page of all pictures."""

    def test_every_picture_is_shown(self, script):
        """The gallery shows every picture with an alternative text, and names every plot function. [contract]"""
        shown = dict(re.findall(r"!\[(.+)\]\(images/(.+\.png)\)", read("docs/gallery.md")))
        assert set(shown.values()) == {path.name for path in script("pictures").IMAGES.glob("*.png")}
        assert all(len(text) > 30 for text in shown)
        other = {"plot_estimates", "plot_pareto", "plot_score", "plot_value_of_observation"}  # no page draws these
        assert set(re.findall(r"`(plot_\w+)`", read("docs/gallery.md"))) == set(simdeploy.plotting.__all__) - other

    @pytest.mark.parametrize(
        "name",
        [
            "fleet-canary.png",
            "fleet-large.png",
            "fleet-offline.png",
            "fleet-overload.png",
            "distribution.png",
            "watch.png",
        ],
    )
    def test_pictures(self, script, name):
        """A picture of the gallery itself shows its scenario's current results, and can be drawn. [contract]"""
        pictures, gallery = script("pictures"), script("gallery")
        assert len(gallery.PICTURES) == 7
        value, picture = gallery.PICTURES[name]()
        assert pictures.read_stamp(pictures.IMAGES / name) == value
        assert picture.size[0] >= 600

    def test_picture_of_a_report(self, script):
        """The picture of a report, drawn by a browser, shows the report's current contents. [contract]"""
        pictures, gallery = script("pictures"), script("gallery")
        assert pictures.read_stamp(pictures.IMAGES / "report.png") == gallery.digest_report(gallery.read_report())


class TestFirstPicture:
    """How often the API's default limits stop a good release."""

    @pytest.fixture
    def false_alarms(self, script):
        return script("false_alarms")

    @pytest.fixture
    def points(self, false_alarms):
        return pd.read_csv(false_alarms.POINTS)

    def test_points(self, false_alarms, points):
        """Every point is near the closed form, within four standard errors. [oracle]"""
        assert len(points) == len(false_alarms.NODES) * len(false_alarms.START_FAILURES) * 2
        for row in points.itertuples():
            probability = false_alarms.stopped_fraction(row.nodes, row.start_failure, row.limit_comparison)
            standard_error = math.sqrt(row.replications * probability * (1 - probability))
            assert abs(row.stopped - row.replications * probability) <= 4 * standard_error, row

    @pytest.mark.parametrize("comparison", ["exceeds", "reaches"])
    def test_points_are_those_of_the_engine(self, false_alarms, points, comparison):
        """A point simulated again equals the one in the picture. [contract]"""
        row = points.query("nodes == 30 and start_failure == 0.02 and limit_comparison == @comparison").iloc[0]
        assert false_alarms.simulate_point(30, 0.02, comparison) == row["stopped"]

    def test_picture(self, false_alarms, script, tmp_path, points):
        """The picture shows the stored points, and can be drawn from them. [contract]"""
        pictures = script("pictures")
        stored = false_alarms.POINTS.read_text(encoding="utf-8")
        assert pictures.read_stamp(false_alarms.PICTURE) == pictures.digest(stored)
        false_alarms.draw(points, tmp_path / "again.png")
        assert (tmp_path / "again.png").stat().st_size > 10_000

    def test_caption(self, false_alarms):
        """The numbers below the picture are those of the closed form and of the script. [oracle]"""
        caption = read("README.md").split("false-alarms.png)")[1].split("\n\n")[1]
        for comparison in ("exceeds", "reaches"):
            assert f"{false_alarms.stopped_fraction(1000, 0.01, comparison):.3f}" in caption
        assert f"{false_alarms.REPLICATIONS} simulated rollouts" in caption


class TestLifeOfANode:
    """What happens to four nodes, in the model's section 3."""

    @pytest.fixture
    def node_life(self, script):
        return script("node_life")

    def test_spans(self, node_life):
        """The spans of the picture are the engine's for the page's scenario. [contract]"""
        assert pd.read_csv(node_life.SPANS).to_dict("list") == node_life.simulate_spans().to_dict("list")

    def test_picture(self, node_life, script, tmp_path):
        """The picture shows the stored spans, and can be drawn from them. [contract]"""
        pictures = script("pictures")
        assert pictures.read_stamp(node_life.PICTURE) == pictures.digest(node_life.SPANS.read_text(encoding="utf-8"))
        node_life.draw(pd.read_csv(node_life.SPANS), tmp_path / "again.png")
        assert (tmp_path / "again.png").stat().st_size > 10_000


def test_first_command_is_the_main_job(script):
    """`make demo` stands in the third line of the README and runs the command shown below it. [contract]"""
    assert read("README.md").splitlines()[3:5] == [
        "make demo   # compares three strategies on scenarios/small-fleet.yaml and draws the answer into comparison.png",
        "make test   # runs all tests",
    ]
    blocks = [block for block in script("examples").read_blocks(read("README.md")) if block.language == "console"]
    shown = script("examples").read_commands(blocks[0])[0].command
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    planned = subprocess.run(
        ["make", "-n", "--no-print-directory", "demo", "VENV=.venv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert planned.splitlines()[-1] == f".venv/bin/{shown}"


def find_anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_links(page):
    """Every link is an address, or leads to an existing file and heading of the repository. [contract]"""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.fullmatch(r"https://([\w-]+\.)+[a-z]+(/\S*)?", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in find_anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_tables_are_narrow(page):
    """No row of a table exceeds 100 characters, except in generated tables. [contract]"""
    text = re.sub(
        r"^```.*?^```|<!-- measured -->.*?<!-- end -->|<!-- keys: [^\n]* -->\n\n(?:\|[^\n]*\n)*",
        "",
        page.read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
    assert [row for row in text.splitlines() if row.startswith("|") and len(row) > 100] == []


class TestReference:
    """docs/reference.md is complete."""

    def rows(self, heading: str) -> list[list[str]]:
        """Return, row by row, the code in the first column of the table below a heading."""
        section = re.split(r"^#+ ", read("docs/reference.md").split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
        lines = [line for line in section.splitlines() if line.startswith("| `")]
        return [[*re.findall(r"`([^`]+)`", line.split(" | ")[0]), line] for line in lines]

    def names(self, heading: str) -> list[str]:
        return [name for row in self.rows(heading) for name in row[:-1]]

    def test_columns_of_a_rollout(self):
        """Every column of a rollout's tables is listed once. [contract]"""
        rollout = simdeploy.simulate(simdeploy.load_example("small-fleet"))
        for name in ("events", "timeline", "down_spells", "nodes", "windows", "revisions"):
            heading = (
                "`Rollout.down_spells`, `Rollout.offline_spells`" if name == "down_spells" else f"`Rollout.{name}`"
            )
            assert sorted(self.names(heading)) == sorted(getattr(rollout, name)), name

    def test_responses(self):
        """Every response is in the reference, and defined once in the model. [contract]"""
        assert self.names("Responses") == list(vocabulary.RESPONSES)
        section = read("docs/model.md").partition("\n## 5. Responses\n")[2].partition("\n## ")[0]
        defined = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)))
        assert sorted(defined) == sorted(vocabulary.RESPONSES)

    def test_columns_of_many(self):
        """Every column of `replicate` and `compare` is listed. [contract]"""
        raw = {"name": "n", "fleet": {"nodes": 2, "update_duration": 1}, "policies": {"p": {"strategy": "immediate"}}}
        table = simdeploy.replicate(simdeploy.Scenario.from_dict(raw), replications=2)
        assert self.names("`replicate`") == [name for name in table if name not in vocabulary.RESPONSES]
        comparison = simdeploy.compare(table)
        assert set(self.names("`compare`")) == {*comparison.differences, *comparison.estimates}


def test_numbers_in_prose():
    """The numbers of switches and scenarios, and the version, are correct. [contract]"""
    n_switches = len(Orchestrator().switches()) - 1  # the preset is no switch
    assert f"[{n_switches} switches](docs/model.md#6-switches)" in read("README.md")
    changelog = read("CHANGELOG.md")
    assert f"; {n_switches} switches" in changelog
    assert re.search(r"^## \[(\S+)\]", changelog, re.MULTILINE)[1] == simdeploy.__version__
    words = {14: "Fourteen", 15: "Fifteen", 16: "Sixteen", 17: "Seventeen", 18: "Eighteen", 19: "Nineteen"}
    assert f"{words[len(list((ROOT / 'scenarios').glob('*.yaml')))]} scenarios" in changelog
