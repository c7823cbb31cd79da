"""Distributions built from the repository: a wheel that works on its own, under one version."""

import doctest
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import simdeploy

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scenarios"


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


README = read("README.md")


def test_the_wheel_works_on_its_own(tmp_path):
    """A wheel has the examples and no tests, and its commands work outside the repository. [contract]"""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    shipped = [path.relative_to(SCENARIOS).as_posix() for path in SCENARIOS.rglob("*") if path.is_file()]
    assert {f"simdeploy/examples/{name}" for name in shipped} <= set(names)
    static = ROOT / "simdeploy" / "explorer" / "static"
    assert {f"simdeploy/explorer/static/{path.name}" for path in static.iterdir()} <= set(names)
    assert {name.split("/")[0] for name in names} == {"simdeploy", f"simdeploy-{simdeploy.__version__}.dist-info"}
    script = """
import json, sys, simdeploy
from simdeploy.cli import main
sys.argv = ["simdeploy", "new", "--like", "small-fleet", "fleet.yaml"]
try:
    main()
except SystemExit:
    pass
print(json.dumps([simdeploy.__file__, simdeploy.load_example("zone-breaks").name, simdeploy.read_scenario("fleet.yaml").name]))
"""
    found = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=found, capture_output=True, text=True, check=True
    )
    file, *read = json.loads(ran.stdout)
    assert file == str(tmp_path / "site" / "simdeploy" / "__init__.py")
    assert read == ["zone-breaks", "small-fleet"]


def test_the_source_is_complete():
    """A source distribution has every file under version control. [contract]"""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert len(tracked) > 500
    assert set(tracked) <= {file.distribution_path for file in SdistBuilder(str(ROOT)).recurse_included_files()}


class TestReadme:
    """The README on a package index."""

    def test_without_a_repository(self, make_absolute):
        """Without the repository's address, relative links and pictures are removed, and no other word is lost. [contract]"""
        shown = make_absolute(README, None, "1.0")
        assert not re.search(r"\]\((?!https:)", shown)
        assert "![" not in shown
        assert "Start with the tutorial: 20 minutes" in shown
        assert make_absolute("`[x](y)` [`a`](b) [c](https://d)", None, "1.0") == "`[x](y)` `a` [c](https://d)"
        blocks = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
        assert blocks.findall(shown) == blocks.findall(README)

    def test_in_a_repository(self, make_absolute):
        """With the address, each link and picture is absolute and leads to a file of the version's tag. [contract]"""
        shown = make_absolute(README, "https://example.org/r", "1.0")
        links = re.findall(r"\]\(https://example.org/r/(blob|raw)/v1.0/([^)#]+)", shown)
        assert links.count(("raw", "docs/images/comparison.png")) == 1
        assert all((ROOT / file).exists() for _, file in links)
        assert len(links) == len(re.findall(r"\]\((?!https:)", README))

    def test_in_the_metadata(self):
        """The metadata contain the README without relative links. [contract]"""
        core = ProjectMetadata(str(ROOT), PluginManager()).core
        assert core.readme.startswith("# simdeploy\nSimulates software rollouts")
        assert "](docs/" not in core.readme
        assert core.readme_content_type == "text/markdown"

    @pytest.fixture
    def make_absolute(self):
        spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert doctest.testmod(module) == (0, 3)
        return module.make_absolute


def test_one_version():
    """Package, metadata, citation, changelog and pasted commands name the same version. [contract]"""
    metadata = ProjectMetadata(str(ROOT), PluginManager())
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert metadata.version == cited["version"] == simdeploy.__version__
    newest = re.search(r"^## \[(.+)\] - (unreleased|\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)
    assert newest[1] == simdeploy.__version__
    pasted = re.findall(r"(?:simdeploy@|rev: )v([\d.]+)", read("docs/pipelines.md"))
    assert pasted == [simdeploy.__version__] * 2
    assert (cited["title"], cited["license"]) == (metadata.core.name, metadata.core.license_expression)


def test_without_make():
    """The README's commands install what they start: a command, and pytest on several processes. [contract]"""
    (lines,) = re.findall(r"^## Without make\n\n```sh\n(.*?)```", README, re.MULTILINE | re.DOTALL)
    (extra,) = re.findall(r"pip install -e '\.\[(\w+)\]'", lines)
    optional = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    assert {"pytest", "pytest-xdist", "numba"} <= {Requirement(text).name for text in optional[extra]}


def test_constraints_suit_the_requirements():
    """Constraints are bare versions within the ranges of pyproject.toml, for all runtime dependencies. [contract]"""
    lines = [line for line in read("constraints.txt").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", line) for line in lines)
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads(read("pyproject.toml"))["project"]
    needed = [Requirement(text) for text in project["dependencies"]]
    assert {canonicalize_name(requirement.name) for requirement in needed} <= set(pinned)
    optional = [Requirement(text) for extra in project["optional-dependencies"].values() for text in extra]
    for requirement in [*needed, *optional]:
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is None or requirement.specifier.contains(version), requirement
