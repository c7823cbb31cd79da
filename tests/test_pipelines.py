"""The GitHub action, the GitLab job and the pre-commit hook: their shell lines, run with stand-ins for what they call."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from invoking import invoke
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from small import rolling, small

from simdeploy import simulate

ROOT = Path(__file__).resolve().parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
PRINTED = "1 of 2 requirements is not met.\n\n```\n<b>\n"
REPORT = "## two\n\n| policy |\n"
INDENTED = "".join(f"    {line}\n" for line in PRINTED.splitlines())
# The fake command: `check` prints, and writes a result unless the input is bad; `report` prints another text.
SIMDEPLOY = """
[ "$1" = report ] && { cat "$HERE/report"; exit; }
cat "$HERE/printed"
while [ "$1" ]; do [ "$1" = -o ] && [ "$FAKE_CODE" != 2 ] && echo '{}' > "$2"; shift; done
exit "$FAKE_CODE"
"""
# The fake API: the user, their comments, or the answer to a post.
GH = """
case "$*" in
    *graphql*) echo "$FAKE_AUTHOR";;
    *--paginate*) [ "$AUTHOR" != simdeploy-bot ] || cat "$HERE/ids";;
    *) exit "$FAKE_POST";;
esac
"""


def block(title):
    """Return the YAML block of the page with this title."""
    return yaml.safe_load(re.search(rf"```yaml title={re.escape(title)}\n(.*?)```", PAGE, re.DOTALL)[1])


@pytest.fixture
def folder(tmp_path):
    """Make a folder with stand-ins that record their calls, and a scenario."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "printed").write_text(PRINTED)
    (tmp_path / "report").write_text(REPORT)
    for name, says in {"simdeploy": SIMDEPLOY, "pip": "", "gh": GH, "curl": 'exit "$FAKE_POST"'}.items():
        stand_in = tmp_path / "bin" / name
        notes = f'for word in {name} "$@"; do printf "%s\\037" "$word" >> "$HERE/calls"; done'
        stand_in.write_text(f'#!/bin/sh\n{notes}\necho >> "$HERE/calls"\n{says}\n')
        stand_in.chmod(0o755)
    scenario = {
        "name": "two",
        "fleet": {"nodes": 2, "update_duration": "30s"},
        "policies": {"at-once": {"strategy": "immediate"}},
        "requirements": [{"of": "makespan_s", "quantile": 0.5, "at_most": "1m"}],
    }
    (tmp_path / "two nodes.yaml").write_text(json.dumps(scenario))
    return tmp_path


def run(text, folder, code=0, posts=0, **variables):
    """Run shell lines as a pipeline does; return the exit code."""
    fakes = {"HERE": str(folder), "FAKE_CODE": str(code), "FAKE_POST": str(posts)}
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", **fakes, **variables}
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
    return subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True).returncode


def calls(folder, name):
    """Return the arguments of each call of a stand-in."""
    rows = [line.split("\x1f")[:-1] for line in (folder / "calls").read_text().splitlines()]
    return [row[1:] for row in rows if row[0] == name]


def assert_understood(folder, monkeypatch, check, report):
    """Assert that the real commands accept these arguments and find scenario, requirements and result."""
    monkeypatch.chdir(folder)
    checked = invoke(*check, "--engine", "reference")
    assert checked.exit_code == 0, checked.output
    assert invoke(*report).stdout.startswith("## two\n\n")


INPUTS = {"inputs.scenario": "two nodes.yaml", "inputs.options": "--most 100", "inputs.token": "secret"}


class TestAction:
    def run(self, folder, code=0, **fakes):
        """Run the steps one after the other; return the last one's exit code and the outputs."""
        for name in ("summary", "output"):
            (folder / name).touch()
        (folder / "ids").write_text(f"{fakes['id_']}\n" if "id_" in fakes else "")
        values = INPUTS | {"github.event.number": "12"}
        common = {
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_REPOSITORY": "owner/name",
            "RUNNER_TEMP": str(folder),
            "FAKE_AUTHOR": fakes.get("author", "simdeploy-bot"),
        }
        done = None
        for step in ACTION["runs"]["steps"]:
            if "run" not in step:
                continue
            assert done in (None, 0)
            own = {name: values[value.strip("${} ")] for name, value in step.get("env", {}).items()}
            done = run(step["run"], folder, code, fakes.get("posts", 0), **common, **own)
            outputs = dict(line.split("=") for line in (folder / "output").read_text().splitlines())
            values |= {f"steps.check.outputs.{name}": value for name, value in outputs.items()}
        return done, outputs

    @pytest.mark.parametrize("code", [0, 1, 2, 3])
    def test_the_verdict_and_the_report(self, folder, monkeypatch, code):
        """The report, or a block of errors that nothing in them ends, is in the summary; the job has the check's exit code. [contract]"""
        (folder / "simdeploy.json").write_text("of an earlier step")
        assert self.run(folder, code) == (code, {"exit-code": str(code)})
        mark, report = (folder / "summary").read_text().split("\n", 1)
        assert mark == "<!-- simdeploy check -->"
        assert report == (f"### simdeploy check\n\n{INDENTED}" if code == 2 else REPORT)
        check, *reports = calls(folder, "simdeploy")
        assert check == ["check", "two nodes.yaml", "--most", "100", "-o", str(folder / "simdeploy.json")]
        assert calls(folder, "pip") == [["install", "--quiet", f"{ROOT}[fast]"]]
        assert len(reports) == (code != 2)
        for each in reports:
            assert_understood(folder, monkeypatch, check, each)

    def test_long_reports_are_cut(self, folder):
        """A comment stays within the maximum length, and the job has the check's exit code. [contract]"""
        (folder / "report").write_text("| a long row |\n" * 10_000)
        assert self.run(folder, 1)[0] == 1
        assert (folder / "simdeploy.md").stat().st_size == 60_000
        (folder / "printed").write_text("error: a long name\n" * 10_000)
        assert self.run(folder, 2)[0] == 2
        assert (folder / "simdeploy.md").stat().st_size == 60_000

    def test_options_over_several_lines(self, folder, monkeypatch):
        """All options reach the command. [contract]"""
        monkeypatch.setitem(INPUTS, "inputs.options", "--most 100\n--seed 7\n")
        self.run(folder)
        assert calls(folder, "simdeploy")[0][2:6] == ["--most", "100", "--seed", "7"]

    def test_the_comment(self, folder):
        """The first run posts a comment, and later ones update it. [contract]"""
        self.run(folder)
        *_, first = calls(folder, "gh")
        self.run(folder, id_="77")
        *_, later = calls(folder, "gh")
        body = ["--field", f"body=@{folder / 'simdeploy.md'}"]
        assert first == ["api", "--method", "POST", "repos/owner/name/issues/12/comments", *body]
        assert later == ["api", "--method", "PATCH", "repos/owner/name/issues/comments/77", *body]
        assert (folder / "simdeploy.md").read_text().startswith("<!-- simdeploy check -->")

    def test_whose_comment_is_updated(self, folder):
        """Only the first comment of the token's own account is updated. [contract]"""
        self.run(folder, id_="\n".join(map(str, range(77, 40_000))))
        _, searched, posted = calls(folder, "gh")
        assert 'select(.user.login == env.AUTHOR and (.body | startswith("<!-- simdeploy check -->")))' in searched[-1]
        assert posted[2:4] == ["PATCH", "repos/owner/name/issues/comments/77"]
        self.run(folder, id_="77", author="somebody")
        assert calls(folder, "gh")[-1][2] == "POST"

    def test_forks_may_not_comment(self, folder):
        """If the comment is refused the job still has the check's exit code. [contract]"""
        assert self.run(folder, 0, posts=1)[0] == 0
        assert self.run(folder, 1, posts=1)[0] == 1

    def test_no_input_is_part_of_a_script(self):
        """Inputs reach the shell only by the environment, so that none can be a command. [contract]"""
        assert not any("${{" in step.get("run", "") for step in ACTION["runs"]["steps"])

    def test_the_documented_job(self):
        """The documented job gives all required inputs, and only existing ones. [contract]"""
        steps = block("policies.yml")["jobs"]["check"]["steps"]
        given = steps[-1]["with"]
        assert given.keys() <= ACTION["inputs"].keys()
        required = {name for name, about in ACTION["inputs"].items() if about.get("required")}
        assert required <= given.keys()


class TestGitLab:
    @pytest.mark.parametrize("code", [0, 1, 2, 3])
    @pytest.mark.parametrize("token", ["", "secret"])
    def test_the_job(self, folder, monkeypatch, code, token):
        """The job has the check's exit code and a JUnit report, and posts only with a token. [contract]"""
        job = block(".gitlab-ci.yml")["check-policies"]
        variables = {
            **job["variables"],
            "SCENARIO": "two nodes.yaml",
            "GITLAB_TOKEN": token,
            "CI_API_V4_URL": "https://gitlab.example/api/v4",
            "CI_PROJECT_ID": "5",
            "CI_MERGE_REQUEST_IID": "12",
        }
        assert run("\n".join(job["script"]), folder, code, **variables) == code
        assert calls(folder, "pip") == [["install", "--quiet", "simdeploy[fast]"]]
        check, *reports = calls(folder, "simdeploy")
        assert check == ["check", "two nodes.yaml", "--junit", "simdeploy.xml", "-o", "simdeploy.json"]
        addresses = [words[-1] for words in calls(folder, "curl")]
        notes = "https://gitlab.example/api/v4/projects/5/merge_requests/12/notes"
        assert addresses == ([notes] if token else [])
        assert (folder / "simdeploy.md").read_text() == (INDENTED if code == 2 else REPORT)
        assert len(reports) == (code != 2)
        for each in reports:
            assert_understood(folder, monkeypatch, check, each)
        assert code == 2 or (folder / job["artifacts"]["reports"]["junit"]).read_text().startswith("<?xml")

    def test_a_refused_comment(self, folder):
        """If the comment is refused the job still has the check's exit code. [contract]"""
        script = "\n".join(block(".gitlab-ci.yml")["check-policies"]["script"])
        assert run(script, folder, 0, posts=22, SCENARIO="two nodes.yaml", GITLAB_TOKEN="secret") == 0  # noqa: S106


class TestHook:
    HOOK = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))[0]

    def test_it_validates_shipped_scenarios(self):
        """The hook's files match the shipped scenarios, and its command accepts a scenario and a deployment among them. [contract]"""
        names = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "scenarios").iterdir())]
        chosen = [str(ROOT / name) for name in names if re.search(self.HOOK["files"], name)]
        program, *words = shlex.split(self.HOOK["entry"])
        assert program == "simdeploy"
        assert len(chosen) > 5
        few = [name for name in chosen if Path(name).name in ("small-fleet.yaml", "deployment.json")]
        assert len(few) == 2
        result = invoke(*words, *few)
        assert result.exit_code == 0, result.output

    def test_it_fails(self, tmp_path):
        """An invalid file stops the commit. [contract]"""
        (tmp_path / "s.yaml").write_text("name: x\n")
        result = invoke(*shlex.split(self.HOOK["entry"])[1:], tmp_path / "s.yaml")
        assert result.exit_code == 2

    def test_the_documented_hook(self):
        """The page names the existing hook. [contract]"""
        (repository,) = block(".pre-commit-config.yaml")["repos"]
        assert [hook["id"] for hook in repository["hooks"]] == [self.HOOK["id"]]


def test_metrics_are_documented():
    """The page lists every metric that a rollout can have. [contract]"""
    fleet = {"service": {"shared": {"capacity": 1.1, "across": "fleet"}}}
    rollout = simulate(small(fleet, policies={"waves": rolling(5)}))
    families = text_string_to_metric_families(rollout.to_openmetrics())
    samples = [one.name for family in families for one in family.samples]
    rows = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| `simdeploy_")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(samples)
