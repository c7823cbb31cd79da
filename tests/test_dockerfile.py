"""The image: a command of an unprivileged user, made from the copied files only."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS = [
    line.split(maxsplit=1)
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    if line[:1].isupper()
]
COPIED = [name for step, rest in STEPS if step == "COPY" and "--from" not in rest for name in rest.split()[:-1]]


def test_the_image_runs_the_command_as_an_ordinary_user():
    """The last stage runs `simdeploy` as a user it creates; both stages start from official images. [contract]"""
    assert {rest.split()[0] for step, rest in STEPS if step == "FROM"} == {"python:3.13-slim"}
    assert "://" not in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = dict(STEPS)
    assert last["USER"] != "root"
    assert f"useradd --create-home {last['USER']} " in last["RUN"]
    assert json.loads(last["ENTRYPOINT"]) == ["simdeploy"]


def test_the_build_context_is_what_is_copied():
    """Only the copied files are in the build context: no tests, history or environments. [contract]"""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(COPIED)


def test_the_copied_files_can_be_installed(tmp_path):
    """The copied files make a wheel with all packages and examples. [contract]"""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("simdeploy/**/*.py*") if "__pycache__" not in path.parts
    }
    examples = {f"simdeploy/examples/{path.name}" for path in ROOT.glob("scenarios/*.yaml")}
    assert package | examples <= names
