"""``simdeploy watch``."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simdeploy.cli import options as shared
from simdeploy.cli.answers import whoever_listens
from simdeploy.cli.command import Command
from simdeploy.cli.files import file_option, write_file
from simdeploy.cli.inputs import read_with_warnings
from simdeploy.cli.options import REPLICATION
from simdeploy.cli.study import Study

if TYPE_CHECKING:
    from rich.text import Text

    from simdeploy.cli.watching.frame import Film

_SIZE = (80, 24)  # columns and lines of a saved screen
_N_FRAMES = 100  # of a saved film


def _is_playable() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and find_spec("termios") is not None


def _play(film: Film) -> None:
    """Play on the terminal until the user quits."""
    from rich.console import Group

    from simdeploy.cli.screen import make_console
    from simdeploy.cli.watching.player import Player, play
    from simdeploy.cli.watching.terminal import measure_screen, own_screen
    from simdeploy.cli.watching.view import KEYS, find_room, render

    player, console = Player(film.end_s, film.steps_s), make_console()
    shown: tuple[Any, ...] = ()

    def draw() -> None:
        nonlocal shown
        size = measure_screen()
        lines = render(film.frame(player.time_s, find_room(*size)), *size, pace=player.pace, keys=KEYS)
        if shown == (size, lines):
            return
        shown = size, lines
        console.size = size
        if console.is_dumb_terminal:  # it can't move the cursor back, so screens follow each other
            console.print(*lines, sep="\n")
        else:
            console.update_screen(Group(*lines))

    def forget() -> None:
        nonlocal shown
        shown = ()

    with own_screen(console, forget) as read_keys:
        play(player, draw, clock=time.monotonic, read_keys=read_keys, tick_s=2.0 if console.is_dumb_terminal else 0.1)


def _save(film: Film, path: Path) -> None:
    import numpy as np

    from simdeploy.cli.watching.saving import write_gif, write_html
    from simdeploy.cli.watching.view import find_room, render

    times_s = np.linspace(0, film.end_s, _N_FRAMES)  # the last one is exactly the end
    frames = [film.frame(time_s, find_room(*_SIZE)) for time_s in times_s.tolist()]
    screens: list[list[Text]] = [render(frame, *_SIZE) for frame in frames]
    if path.suffix.lower() == ".html":
        write_file(path, lambda file: write_html(file, screens, frames[0].title, _SIZE[0]))
    else:
        write_file(path, lambda file: write_gif(file, screens, *_SIZE))


@click.command(
    "watch",
    cls=Command,
    params=[
        shared.SCENARIO,
        shared.policy_option("one"),
        shared.SEED,
        REPLICATION,
        file_option(["--save"], "Write a film (.gif, .html) instead of playing.", ".gif", ".html"),
        shared.ALLOW_FILES,
    ],
    example="simdeploy watch scenarios/shared-service.yaml --policy by-fifths --replication 4",
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Watch one rollout as it happens.

    Plays the rollout of SCENARIO in the terminal: a letter for each node, or for a few nodes; wave, counters and rates with their
    limits; and the latest events. Without a terminal, or with --save, it doesn't play, but prints the last screen.

    Keys: space pauses, + and - change the speed, > and < (or arrows) step from event to event, 0 restarts, q quits.
    """
    from simdeploy.cli.screen import make_console
    from simdeploy.cli.watching.frame import Film
    from simdeploy.cli.watching.view import find_room, render
    from simdeploy.engines import simulate

    scenario = read_with_warnings(options["scenario"], options["policies"], is_all=False)
    policy = Study(ctx, scenario, options["policies"]).policy
    film = Film(simulate(scenario, policy, seed=options["seed"], replication=options["replication"]))
    save: Path | None = options["save"]
    if save is None and _is_playable():
        _play(film)
        return
    if save is not None:
        _save(film, save)
    console = make_console()
    width, height = console.width, _SIZE[1]
    with whoever_listens():
        for line in render(film.frame(film.end_s, find_room(width, height)), width, 2 * height):
            console.print(line)
