"""Files that a scenario names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from simdeploy.api.files import read_text
from simdeploy.errors import InputError, Problem


class Files:
    """Files that a scenario names, relative to its own; each is read once and then kept.

    Kept texts make a scenario independent of the disk: it can be changed, or sent to another process,
    after its files have changed or gone.

    Parameters
    ----------
    base : str
        Folder that relative names start from; empty for the working directory.
    texts : mapping of str to str
        What is known already, by name.
    """

    def __init__(self, base: str, texts: Mapping[str, str] | None = None) -> None:
        self.base = base
        self.texts: dict[str, str] = dict(texts or {})

    def path(self, name: str) -> str:
        """Return where the file is."""
        return str(Path(self.base) / name)

    def text(self, name: str) -> str:
        """Return the file's text, or raise an `InputError`."""
        if name not in self.texts:
            try:
                self.texts[name] = read_text(self.path(name))
            except InputError as error:
                raise InputError([self._outside(problem) for problem in error.problems]) from None
        return self.texts[name]

    @staticmethod
    def _outside(problem: Problem) -> Problem:
        # What has no line in the file (there is none, say) is told where the file is named.
        if problem.line is not None:
            return problem
        return replace(problem, message=f"{problem.file}: {problem.message}", file=None)
