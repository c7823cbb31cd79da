"""The command group: exit codes and messages instead of tracebacks."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from simdeploy import __version__
from simdeploy.cli.answers import abandon_stdout, say
from simdeploy.cli.command import BAD_INPUT, EXIT_CODES, FAILED, INTERRUPTED
from simdeploy.errors import InputError, SimdeployError, SimdeployWarning, listed, nearest, printable, shorten

# Each is the `command` of the module of the same name, which is imported only when it is needed.
_COMMANDS = (
    "new",
    "examples",
    "run",
    "watch",
    "serve",
    "explore",
    "compare",
    "timelines",
    "sweep",
    "tradeoff",
    "tune",
    "gates",
    "switches",
    "sensitivity",
    "discover",
    "check",
    "rare",
    "forecast",
    "advise",
    "score",
    "backtest",
    "calibrate",
    "report",
    "verify",
    "validate",
    "import",
    "schema",
    "completion",
)


class _Application(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in _COMMANDS:
            return None
        # `import` is a keyword.
        module = "importing" if cmd_name == "import" else cmd_name
        command: click.Command = import_module(f"simdeploy.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest one for an unknown name."""
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            hint = nearest(args[0], _COMMANDS)
            ctx.fail(f"no such command: {shorten(args[0])}; {hint or f'allowed: {listed(_COMMANDS)}'}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; end silently if the reader of its output has gone, because click's code 1 is that of a requirement."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            abandon_stdout()
            raise click.exceptions.Exit(BAD_INPUT) from None

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command and exit with its code."""
        extra["standalone_mode"] = False
        with _spoken_warnings():
            try:
                code = super().main(args, prog_name, **extra)
            except BaseException as error:  # noqa: BLE001 - bugs are raised again
                code = _answer(error)
        sys.exit(code if isinstance(code, int) else 0)


def _answer(error: BaseException) -> int:
    """Print an error message and return the exit code; bugs are raised again."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            error.show()  # the help, with its line breaks
            return error.exit_code
        case click.ClickException():
            vars(error)["message"] = printable(error.message)  # it quotes the user's input
            error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            messages, code = ["interrupted"], INTERRUPTED
        case InputError():
            messages, code = [f"error: {problem}" for problem in error.problems], BAD_INPUT
        case SimdeployError():
            messages, code = [f"error: {error}"], FAILED
        case MemoryError():
            messages, code = [f"error: out of memory{f': {error}' if str(error) else ''}"], FAILED
        case OSError():
            messages, code = [f"error: {_describe(error)}"], BAD_INPUT  # not the code of a failed requirement
            abandon_stdout()
        case _:
            raise error
    for message in messages:
        say(message)
    return code


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else f"cannot write: {reason}"


@contextlib.contextmanager
def _spoken_warnings() -> Iterator[None]:
    """Print warnings as plain lines, without the line of code that raised them."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", SimdeployWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        yield


app = _Application(
    "simdeploy",
    help="""Simulate software rollouts and compare policies.

    \b
    To begin:
      simdeploy new --like small-fleet fleet.yaml
      simdeploy compare fleet.yaml --replications 200
    """,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(__version__, prog_name="simdeploy")(app)
