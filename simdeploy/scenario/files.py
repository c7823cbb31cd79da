"""Files named by a scenario."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simdeploy.api.files import find_inside, read_text
from simdeploy.errors import InputError, Problem, shorten

if TYPE_CHECKING:
    from simdeploy.records.histories import PastRollouts

_LONGEST_WORD = 20

Folder = str | os.PathLike[str]


class Files:
    """Files named by a scenario, relative to it; each is read once and cached.

    So a scenario can be changed or sent to another process after its files have changed. `base` is the folder of
    relative names, empty for the working directory; `allowed` are further folders that may contain the files; `texts`
    and `past` are files already read, by name.
    """

    def __init__(
        self,
        base: str,
        allowed: Sequence[Folder] = (),
        texts: Mapping[str, str] | None = None,
        past: Mapping[str, PastRollouts] | None = None,
    ) -> None:
        self.base = base
        self.allowed = tuple(os.fspath(folder) for folder in allowed)
        self.texts: dict[str, str] = dict(texts or {})
        self.past: dict[str, PastRollouts] = dict(past or {})

    def path(self, name: str) -> str:
        """Return the file's path."""
        return str(Path(self.base) / name)

    def text(self, name: str) -> str:
        """Return the file's text, or raise an `InputError`."""
        if name not in self.texts:
            try:
                self.texts[name] = read_text(self.path(name), inside=(self.base, *self.allowed))
            except InputError as error:
                raise InputError([self._report_at_file_key(problem) for problem in error.problems]) from None
        return self.texts[name]

    def past_rollouts(self, name: str) -> PastRollouts:
        """Return the rollouts in a file or folder of records, or raise an `InputError`."""
        if name not in self.past:
            from simdeploy.records import read_records
            from simdeploy.records.histories import PastRollouts

            try:
                place = find_inside(self.path(name), (self.base, *self.allowed))
                self.past[name] = PastRollouts.of(read_records(place))
            except InputError as error:
                raise InputError([self._report_at_file_key(briefly(problem)) for problem in error.problems]) from None
            except (OSError, ValueError) as error:  # a name too long, or with a NUL
                raise InputError(Problem(f"can't be read: {getattr(error, 'strerror', None) or error}")) from None
        return self.past[name]

    @staticmethod
    def _report_at_file_key(problem: Problem) -> Problem:
        # Problems without a line, such as a missing file, are reported where the scenario names the file. Some have no file,
        # because they concern several.
        if problem.line is not None or problem.file is None:
            return problem
        return replace(problem, message=f"{problem.file}: {problem.message}", file=None)


def briefly(problem: Problem) -> Problem:
    """Return a problem with records without any of their contents: the scenario may name a wrong, confidential file."""
    hint = "run `simdeploy calibrate` on the records for details" if problem.found else None
    return replace(problem, path=(), found=None, hint=hint)


def first_word(text: str) -> str:
    """Return the first word of a file's text; messages show no more, because it may be a wrong, confidential file.

    Examples
    --------
    >>> first_word("root:x:0:0:root:/root:/bin/bash and more")
    "'root:x:0:0:root:..."
    """
    return shorten("".join(text.split()[:1]), _LONGEST_WORD)


def without_contents(problem: Problem) -> Problem:
    """Return a problem that shows at most one word of the file's contents."""
    if problem.found is None or problem.found[0] not in "'\"[{":
        return problem
    return replace(problem, found=first_word(problem.found.strip("'\"")))
