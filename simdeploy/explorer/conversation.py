"""A conversation with a front end: rough answers at once, and better ones while the sliders rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simdeploy.errors import InputError, Problem, SimdeployError, nearest, printable, raise_if_any, shorten
from simdeploy.explorer.answering import Effort, Explorer, SupersededError
from simdeploy.explorer.front_end import list_looks
from simdeploy.explorer.position import Place, Position, read_position

# Pauses without a newer question: before anything but numbers is sent, and before numbers are refined.
_PAUSE_S, _REST_S = 0.1, 0.25
_HIGHEST = 1_000_000  # number of a question or a rollout
_LONGEST = 200
_KEYS = ("ask", "position", "curve", "rollout")
_OF_ROLLOUT = ("replication", "kind")
_MOST_PROBLEMS = 5


@dataclass(frozen=True)
class Question:
    """A numbered question of a front end: everything about a position."""

    number: int
    position: Position
    curve: str | None
    replication: int
    kind: str | None


def read_question(raw: object) -> Question:
    """Read a question from JSON values; raise all problems.

    Examples
    --------
    >>> read_question({"ask": 1, "position": {"policy": "waves"}}).position.policy
    'waves'
    """
    if not isinstance(raw, Mapping):
        raise InputError(Problem("not a question", found=shorten(raw), allowed="an object"))
    rollout = raw.get("rollout")
    rollout = {} if rollout is None else rollout
    if not isinstance(rollout, Mapping):
        raise InputError(Problem("not a rollout", ("rollout",), found=shorten(rollout), allowed="an object"))
    problems = [
        Problem("unknown key", (*place, shorten(key)), hint=nearest(key, known))
        for place, keys, known in (((), raw, _KEYS), (("rollout",), rollout, _OF_ROLLOUT))
        for key in keys
        if key not in known
    ]
    number, replication = raw.get("ask"), rollout.get("replication", 0)
    curve, kind = raw.get("curve"), rollout.get("kind")
    for path, value in ((("ask",), number), (("rollout", "replication"), replication)):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _HIGHEST:
            problems.append(Problem("not a number", path, found=shorten(value), allowed=f"0 to {_HIGHEST - 1:,}"))
    for path, value in ((("curve",), curve), (("rollout", "kind"), kind)):
        if value is not None and not (isinstance(value, str) and len(value) <= _LONGEST):
            problems.append(Problem("not a name", path, found=shorten(value), allowed="a text, or null"))
    try:
        position = read_position(raw.get("position"))
    except InputError as error:
        problems += error.problems
    raise_if_any(problems)
    return Question(int(number or 0), position, curve, replication, kind)


class Conversation:
    """Answers questions one at a time in a thread of its own; a newer question replaces those before it."""

    def __init__(
        self,
        explorer: Explorer,
        send: Callable[[dict[str, Any]], None],  # called with each answer (JSON values), from the thread
    ) -> None:
        self._explorer, self._send = explorer, send
        self._changed = threading.Condition()
        self._next: Question | None = None
        self._is_over = False
        self._controls: list[dict[str, Any]] | None = None  # as last sent
        self._thread = threading.Thread(target=self._answer_all, name="simdeploy-explorer", daemon=True)
        explorer.prepare()
        send({"type": "start", "looks": list_looks(), **explorer.describe()})
        self._thread.start()

    def hear(self, raw: object) -> None:
        """Take a question as JSON values; answer an invalid one with its problems."""
        try:
            question = read_question(raw)
        except InputError as error:
            number = raw.get("ask") if isinstance(raw, Mapping) else None
            self.refuse(error, number if isinstance(number, int) else None)
            return
        with self._changed:
            self._next = question
            self._changed.notify()

    def refuse(self, error: SimdeployError, number: int | None = None) -> None:
        """Answer a question with an error."""
        problems = error.problems if isinstance(error, InputError) else (error,)
        texts = [printable(str(problem)) for problem in problems]
        more = [f"and {len(texts) - _MOST_PROBLEMS} more"] if len(texts) > _MOST_PROBLEMS else []
        self._send({"type": "error", "ask": number, "problems": [*texts[:_MOST_PROBLEMS], *more]})

    def close(self) -> None:
        """End the conversation; computations stop soon."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def _answer_all(self) -> None:
        while (question := self._wait()) is not None:
            try:
                for answer in self._answers(question):
                    self._send({"ask": question.number, **answer})
            except SupersededError:
                continue
            except SimdeployError as error:
                self.refuse(error, question.number)
            except MemoryError:
                self.refuse(SimdeployError("out of memory"), question.number)
            except Exception as error:  # noqa: BLE001 - a bug that must not end the conversation
                text = f"unexpected {type(error).__name__}: {error}; please report it"
                self.refuse(SimdeployError(text), question.number)

    def _wait(self) -> Question | None:
        """Wait for the next question; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is not None or self._is_over)
            question, self._next = self._next, None
            return None if self._is_over else question

    def _is_superseded(self) -> bool:
        return self._next is not None or self._is_over

    def _raise_if_superseded(self) -> None:
        if self._is_superseded():
            raise SupersededError

    def _rest(self, seconds: float) -> None:
        """Wait for some seconds without a newer question."""
        with self._changed:
            self._changed.wait_for(self._is_superseded, timeout=seconds)
        self._raise_if_superseded()

    def _answers(self, question: Question) -> Iterator[dict[str, Any]]:
        """Yield the answers to a question: first numbers, since sliders may still move; then the rest; then better answers."""
        explorer, place = self._explorer, self._explorer.settle(question.position)
        awaits_engine, efforts = explorer.awaits_engine, explorer.efforts()  # in this order: sizes depend on the engine
        known = [effort for effort in efforts if explorer.knows(place, effort.n)]
        begun = known[-1] if known else efforts[0]
        # Even if there is a newer question: sliders that never rest would show nothing otherwise.
        yield self._numbers(place, begun, awaits_engine=awaits_engine, is_superseded=bool)
        self._rest(_PAUSE_S)
        controls = explorer.find_controls(place)
        if controls != self._controls:
            self._controls = controls
            yield {"type": "controls", "controls": controls}
        levers = [each["name"] for each in controls if each["group"] == "policy" and each["kind"] != "choice"]
        self._raise_if_superseded()
        yield {"type": "rollout", **explorer.show_rollout(place, question.replication, question.kind)}
        drawn, effort = 0, begun
        while True:
            for effort in [begun, *(each for each in efforts if each.n > effort.n)]:
                if effort is not begun:
                    self._rest(_REST_S)
                    yield self._numbers(place, effort, awaits_engine=awaits_engine, is_superseded=self._is_superseded)
                self._raise_if_superseded()
                n = explorer.size_of_curve(effort.n)
                # The setting may not exist under the position's strategy. The slower engine would take long for a curve, and
                # delay the compiler.
                if question.curve is not None and question.curve in levers and n > drawn and not awaits_engine:
                    drawn = n
                    yield {"type": "curve", **explorer.draw_curve(place, question.curve, n, self._is_superseded)}
            if not awaits_engine:
                return
            while explorer.awaits_engine:
                self._rest(_REST_S)
            awaits_engine, efforts = False, explorer.efforts()
            begun = Effort(effort.n, is_last=efforts[-1].n <= effort.n)
            yield self._numbers(place, begun, awaits_engine=False, is_superseded=self._is_superseded)

    def _numbers(
        self, place: Place, effort: Effort, *, awaits_engine: bool, is_superseded: Callable[[], bool]
    ) -> dict[str, Any]:
        return {
            "type": "numbers",
            "n": effort.n,
            "is_last": effort.is_last and not awaits_engine,
            "awaits_engine": awaits_engine,
            "position": place.position.to_dict(),
            "estimates": self._explorer.estimate(place, effort.n, is_superseded),
            "warnings": [printable(text) for text in place.warnings],
            "specs": self._explorer.write_policy(place),
        }
