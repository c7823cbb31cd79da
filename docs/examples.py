"""Find and run the examples in the documents; ``python docs/examples.py`` updates their outputs.

What a reader can type is in fenced blocks, which the tests run:

- ``console``: commands after ``$``, each with its output, trailing blanks left out;
- ``python`` and ``pycon``: sessions with their output, in one namespace per document;
- ``yaml title=NAME``: a file of that name, there for all that follows.

All of it runs in an empty folder with a copy of ``scenarios/``. A picture that a command writes (``--plot NAME.png``) is
shown by the document as ``docs/images/NAME.png``; its stamp is that of the command's output.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pictures import IMAGES, ROOT, digest, stamp

from simdeploy.engines.compiled.kernel import load_parts
from simdeploy.engines.compiled.run import PARTS, RUN

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "scenarios" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "dialects").glob("*.md")),
]

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
_PLOT = re.compile(r"--plot (\S+\.png)")


class Block(NamedTuple):
    """A fenced block of a document."""

    language: str
    title: str | None
    body: str
    line: int


class Command(NamedTuple):
    """A command in a console block and the output that the document shows."""

    command: str
    output: str

    @property
    def picture(self) -> str | None:
        """Name of the picture that the command draws."""
        found = _PLOT.search(self.command)
        return found[1] if found else None


def read_blocks(text: str) -> Iterator[Block]:
    """Find the fenced blocks of a document."""
    for found in _BLOCK.finditer(text):
        language, _, title = found["info"].partition(" title=")
        yield Block(language.strip(), title or None, found["body"], text.count("\n", 0, found.start()) + 2)


def read_commands(block: Block) -> list[Command]:
    """Find the commands of a console block."""
    return [Command(found["command"], found["output"]) for found in _COMMAND.finditer(block.body)]


def make_folder(folder: Path, text: str) -> None:
    """Put what a document's examples need into an empty folder: the scenarios and the files that the document shows."""
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    for block in read_blocks(text):
        if block.title is not None:
            (folder / block.title).write_text(block.body, encoding="utf-8")


def run_command(command: str, folder: Path) -> str:
    """Run one command in the folder; return what a reader would see, without blanks at the ends of lines."""
    paths = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    done = subprocess.run(  # noqa: S602 - the documents' own commands, as a reader's shell would run them
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    return "".join(line.rstrip() + "\n" for line in done.stdout.rstrip().splitlines())


def refresh(path: Path) -> None:
    """Put the actual output under every command of a document, and redraw its pictures."""
    text = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_folder(folder, text)

        def renew(found: re.Match[str]) -> str:
            output = run_command(found["command"], folder)
            picture = Command(found["command"], output).picture
            if picture is not None and (folder / picture).is_file():
                shutil.copy(folder / picture, IMAGES / picture)
                stamp(IMAGES / picture, digest(output))
            return f"$ {found['command']}\n{output}"

        def renew_block(found: re.Match[str]) -> str:
            if found["info"] != "console":
                return found[0]
            return f"```console\n{_COMMAND.sub(renew, found['body'])}```"

        path.write_text(_BLOCK.sub(renew_block, text), encoding="utf-8")


if __name__ == "__main__":
    # No output mentions that the engine is being compiled.
    load_parts(["entry", *PARTS], np.zeros(1, RUN))
    for document in [Path(name).resolve() for name in sys.argv[1:]] or DOCUMENTS:
        refresh(document)
