"""`watch` on a terminal, which is restored afterwards, and without one: printed output, and saved films."""

import errno
import json
import os
import re
import signal
import struct
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest
from invoking import invoke
from PIL import Image
from terminals import END, TIMEOUT_S, on_terminal, read_until

from simdeploy.cli.watching.view import KEYS

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"

PLAYING = """
import sys
from simdeploy.cli.screen import make_console
from simdeploy.cli.watching.terminal import own_screen
with own_screen(make_console(), lambda: print("again", flush=True)) as read_keys:
    print("ready", flush=True)
    sys.stdout.write(" " * int(sys.argv[1]) + "shown")
    sys.stdout.flush()
    while True:
        for key in read_keys(0.1):  # a signal to end that comes just before the wait ends it no earlier
            if key == "quit":
                sys.exit(0)
            if key == "restart":
                raise RuntimeError("broken")
            print("key", key, flush=True)
"""
BACK = "\x1b[?1049l"  # to the screen of the shell
OWN = "\x1b[?1049h"


def type_in(terminal, text):
    os.write(terminal, text.encode())


def wait_until_it_writes(process):
    """Wait until a process waits for its terminal to be read; where the kernel doesn't say so, for two seconds."""
    waits_for, end = Path(f"/proc/{process.pid}/wchan"), time.monotonic() + 2
    while time.monotonic() < end and not (waits_for.exists() and waits_for.read_text() == "wait_woken"):
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("quit", 0),
        ("error", 1),
        (signal.SIGINT, -signal.SIGINT),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGHUP, -signal.SIGHUP),
    ],
)
def test_the_terminal_is_restored(how, code):
    """After q, an error or a signal the terminal has its settings, cursor and screen; a signal ends the process. [contract]"""
    with on_terminal([sys.executable, "-c", PLAYING, 0], stdout=None, has_keys=True) as (process, terminal):
        settings = termios.tcgetattr(terminal)
        shown = read_until(terminal, "ready")
        assert OWN in shown
        assert termios.tcgetattr(terminal) != settings
        if isinstance(how, int):
            process.send_signal(how)
        else:
            type_in(terminal, "q" if how == "quit" else "0")
        shown = read_until(terminal, END)
        assert process.wait(timeout=TIMEOUT_S) == code
        assert termios.tcgetattr(terminal) == settings
        assert "\x1b[?25h" in shown
        assert BACK in shown
        output = re.sub(r"\x1b\[[\d;]*m", "", shown.rpartition(BACK)[2])  # tracebacks have colours from Python 3.13 on
        assert ("RuntimeError: broken" in output) == (how == "error")


@pytest.mark.parametrize("length", [0, 1_000_000], ids=["meanwhile", "while a frame is written"])
def test_a_stopped_process_restores_the_terminal(length):
    """Ctrl-Z restores the terminal before the process stops, and playing resumes with it. [contract]"""
    with on_terminal([sys.executable, "-c", PLAYING, length], stdout=None, has_keys=True) as (process, terminal):
        settings = termios.tcgetattr(terminal)
        read_until(terminal, "ready" if length else "shown")
        if length:
            wait_until_it_writes(process)
        process.send_signal(signal.SIGTSTP)
        # There is no job control here, so that it resumes at once.
        assert BACK in read_until(terminal, "again").partition(OWN)[0]
        type_in(terminal, "\x1b[C +q")
        shown = read_until(terminal, END)
        assert re.findall(r"key (\w+)", shown) == ["next", "pause", "faster"]
        assert process.wait(timeout=TIMEOUT_S) == 0
        assert termios.tcgetattr(terminal) == settings


COMMAND = [sys.executable, "-m", "simdeploy", "watch", SCENARIOS / "small-fleet.yaml", "--policy", "rolling"]


def test_the_command_plays(monkeypatch):
    """On a terminal the command plays, at its current size, optionally without colours, until somebody quits. [contract]"""
    monkeypatch.setenv("NO_COLOR", "1")
    with on_terminal(COMMAND, stdout=None, has_keys=True) as (process, terminal):
        shown = read_until(terminal, "q quit")
        assert not re.search(r"\x1b\[[0-9;]*[34][0-9]", shown)
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 30, 0, 0))
        read_until(terminal, re.escape(KEYS[:30]) + "[^s]")  # not "step"
        type_in(terminal, "q")
        assert BACK in read_until(terminal, END)
        assert process.wait(timeout=TIMEOUT_S) == 0


def test_a_dumb_terminal():
    """On a dumb terminal the command plays until somebody quits, without control characters. [contract]"""
    with on_terminal(COMMAND, stdout=None, has_keys=True, term="dumb") as (process, terminal):
        shown = read_until(terminal, "q quit")
        type_in(terminal, "q")
        shown += read_until(terminal, END)
        assert process.wait(timeout=TIMEOUT_S) == 0
    assert "\x1b" not in shown


# -- without a terminal ------------------------------------------------------------------------------------------------


def watch(*arguments):
    """Run the command in this process."""
    return invoke("watch", SCENARIOS / "small-fleet.yaml", *arguments)


def test_without_a_terminal_the_end_is_printed():
    """A pipe gets the last screen with all events, without control characters or trailing blanks. [contract]"""
    shown = watch("--policy", "rolling", "--replication", 3)
    assert shown.exit_code == 0
    assert "small-fleet / rolling, replication 3" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert all(line == line.rstrip() and len(line) <= 100 for line in shown.stdout.splitlines())
    assert "wave 1 of" in shown.stdout
    assert watch("--policy", "rolling", "--policy", "canary").exit_code == 2


def test_a_page_plays_without_a_network(tmp_path):
    """A saved page loads nothing, forbids everything else, has the first and last screens, and shows names as text. [contract]"""
    assert watch("--policy", "rolling", "--save", tmp_path / "film.html").exit_code == 0
    page = (tmp_path / "film.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|src=|<link|@import|url\(", page)
    frames = json.loads(re.search(r"^const screens = (.*);$", page, re.MULTILINE)[1])
    assert len(frames) == 100
    plain = [re.sub(r"<[^>]*>", "", frame) for frame in (frames[0], frames[-1])]
    assert "starting 8" in plain[0]
    assert "wave 1 of" in plain[1]


def test_a_film_ends_with_the_rollout(tmp_path):
    """The last screen of a film is the rollout's end, also if that is at no multiple of a hundredth. [contract]"""
    shown = ["--policy", "by-fifths", "--replication", 4, "--save", tmp_path / "film.html"]
    printed = invoke("watch", SCENARIOS / "shared-service.yaml", *shown).stdout.splitlines()
    page = (tmp_path / "film.html").read_text(encoding="utf-8")
    last = json.loads(re.search(r"^const screens = (.*);$", page, re.MULTILINE)[1])[-1]
    lines = re.sub(r"<[^>]*>", "", last).splitlines()
    assert lines[1].rstrip() == printed[1] == "failed, rollback completed, wave 5 of 5"
    assert lines[-1].rstrip() == printed[-1]


def test_a_saved_gif(tmp_path, monkeypatch):
    """A saved GIF has a frame per distinct screen, and loops; another form and a full disk are refused. [contract]"""
    monkeypatch.setattr("simdeploy.cli.watch._N_FRAMES", 5)
    assert watch("--policy", "rolling", "--save", tmp_path / "film.gif").exit_code == 0
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 5
        assert film.info["loop"] == 0
    assert watch("--save", tmp_path / "film.mp4").exit_code == 2
    monkeypatch.setattr("simdeploy.output.os.fsync", fail_to_write)
    refused = watch("--save", tmp_path / "film.gif")
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (2, f"error: {tmp_path / 'film.gif'}: no room")


def fail_to_write(_):
    """Simulate a full disk."""
    raise OSError(errno.ENOSPC, "no room")
