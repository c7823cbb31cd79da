"""What is built of the repository: a wheel that works on its own, under one version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml

import simdeploy

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scenarios"


def test_the_wheel_works_on_its_own(tmp_path):
    """A wheel holds the examples and no tests; its commands work away from the repository. [contract]"""
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


def test_one_version():
    """The package, its metadata and the citation name the same version. [contract]"""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == cited["version"] == simdeploy.__version__
    assert (cited["title"], cited["license"]) == (project["name"], project["license"])
