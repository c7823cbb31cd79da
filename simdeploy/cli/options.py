"""Options shared by commands, with the same meaning and help everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from simdeploy.cli.command import TABLE_ENDINGS
from simdeploy.cli.files import PathName, file_option, folder_option, usable_path
from simdeploy.errors import InputError, Problem, nearest, shorten

_Function = TypeVar("_Function", bound=Callable[..., Any])

ENGINES = ("auto", "compiled", "reference")
TLS_META = "simdeploy.tls"
ALLOWED = "simdeploy.allow_files"

# Named as in Dask's own commands; with Dask's configuration keys.
TLS = {
    "tls_ca_file": ("distributed.comm.tls.ca-file", "CA certificate of a tls:// cluster (PEM)."),
    "tls_cert": ("distributed.comm.tls.client.cert", "Client certificate for a tls:// cluster (PEM)."),
    "tls_key": ("distributed.comm.tls.client.key", "Private key of the client certificate (PEM)."),
}


class Choice(click.Choice[str]):
    """A choice of words that suggests a correction of a misspelt one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = nearest(str(value), self.choices)
            if hint is None:
                raise
            raise click.BadParameter(f"{error.message.rstrip('.')}; {hint}", ctx, param) from None


class _PlainNumber(click.ParamType):  # type: ignore[type-arg]  # older versions of click are not generic
    """A type whose messages speak of numbers; click would call a word "not a valid integer range"."""

    def fail(self, message: str, param: click.Parameter | None = None, ctx: click.Context | None = None) -> NoReturn:
        """Refuse a value."""
        plain = message.replace("a valid integer range", "a whole number")
        super().fail(plain.replace("a valid float range", "a number").replace("a valid float", "a number"), param, ctx)


class Whole(_PlainNumber, click.IntRange):
    """A whole number in a range."""


class Number(_PlainNumber, click.FloatRange):
    """A number in a range."""


class AnyNumber(_PlainNumber, click.types.FloatParamType):
    """A number."""


def _refuse_folder(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    with usable_path(value):
        is_folder = value != "" and Path(value).is_dir()
    if is_folder:
        hint = "`simdeploy report` shows the folder of a sweep"
        raise InputError(Problem("a folder, not a scenario", file=value, hint=hint))
    return value


def _keep_allowed(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> None:
    ctx.meta[ALLOWED] = value


def _note_tls(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(TLS_META, {})[TLS[str(param.name)][0]] = value


def _check_level(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    from simdeploy.statistics.levels import level_problems

    for problem in level_problems(value):
        raise click.BadParameter(str(replace(problem, path=())))
    return value


def _read_mapping(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    for text in value:
        if not all(part.strip() for part in text.partition("=")):
            raise click.BadParameter(f"{text!r} is not of the form ours=theirs")
    return {ours.strip(): theirs.strip() for ours, _, theirs in (text.partition("=") for text in value)}


def whole_option(name: str, default: int | None, text: str, *, least: int = 1, most: int | None = None) -> click.Option:
    """Return an option for a whole number; `text` is its help."""
    is_shown = default is not None
    return click.Option([name], type=Whole(least, most), default=default, show_default=is_shown, help=text)


SCENARIO = click.Argument(["scenario"], metavar="SCENARIO", type=PathName(), callback=_refuse_folder)
ALLOW_FILES = click.Option(
    ["--allow-files"],
    metavar="DIR",
    multiple=True,
    type=PathName(exists=True, file_okay=False),
    callback=_keep_allowed,
    expose_value=False,
    help="Also allow the scenario to name files in or below this folder; repeatable.",
)
SEED = whole_option("--seed", 0, "Seed of the random numbers.", least=0, most=(1 << 64) - 1)
REPLICATION = whole_option("--replication", 0, "Number of the replication.", least=0, most=(1 << 32) - 1)
MAP = click.Option(
    ["--map", "mapping"],
    metavar="OURS=THEIRS",
    multiple=True,
    callback=_read_mapping,
    help="Name of a column in your tables, such as node=hostname; repeatable.",
)
CONFIDENCE_LEVEL = click.Option(
    ["--confidence-level"],
    type=AnyNumber(),
    default=0.95,
    show_default=True,
    callback=_check_level,
    help="Confidence level of the intervals.",
)
ENGINE = click.Option(["--engine"], type=Choice(ENGINES), default="auto", show_default=True, help="Simulation engine.")
WORKERS = whole_option("--workers", 1, "Local cores to use; results don't change.")
CLUSTER = (
    click.Option(
        ["--cluster"],
        metavar="ADDRESS",
        help="Dask scheduler: tcp://HOST:PORT, or tls://HOST:PORT with certificates; results don't change.",
    ),
    *(
        click.Option(
            ["--" + name.replace("_", "-")],
            metavar="FILE",
            type=PathName(exists=True, dir_okay=False, readable=True),
            callback=_note_tls,
            expose_value=False,
            help=text,
        )
        for name, (_, text) in TLS.items()
    ),
)
PRECISION = click.Option(
    ["--precision"],
    metavar="MEASURE=WIDTH",
    multiple=True,
    help="Simulate until the interval's half-width is at most WIDTH, such as 'makespan_s=5s', 'false_alarm given good=1pp' or "
    "'cost=5%'; repeatable. Replaces --replications.",
)
STORE = folder_option(["--store"], "Save every replication in this folder; repeat the command to resume.")
WHERE = (ENGINE, WORKERS, *CLUSTER)
SIMULATING = (*WHERE, STORE)
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print everything as JSON.")
FULL = click.Option(["--full"], is_flag=True, help="Print all tables, with all rows.")
OUT = file_option(["-o", "--out"], "Write the table (.csv, .parquet) or everything (.json).", *TABLE_ENDINGS)
PLOT = file_option(["--plot"], "Draw the result (.png, .svg, .pdf).", ".png", ".svg", ".pdf")
HOST = click.Option(["--host"], default="127.0.0.1", show_default=True, help="Address to listen on.")
OF = click.Option(["--of"], default="cost", show_default=True, metavar="MEASURE", help="Measure to examine.")
DIRECTION = click.Option(
    ["--direction"], type=Choice(["min", "max"]), help="Which direction is better, if --of doesn't imply it."
)
REQUIRE = click.Option(
    ["--require", "requirements"],
    metavar="REQUIREMENT",
    multiple=True,
    callback=lambda _ctx, _param, value: value or None,
    help='Requirement, such as "false_alarm given good <= 1%"; repeatable. Default: those of the scenario.',
)


def policy_option(default: str) -> click.Option:
    """Return ``--policy``; its default is "all" policies of the scenario, the one that was "seen", that with "sliders", or "one": the first."""
    defaults = {"all": "all", "seen": "the one that was seen", "sliders": "the first with thresholds to move"}
    default = defaults.get(default, "the first")
    return click.Option(
        ["--policy", "policies"],
        metavar="NAME|FILE",
        multiple=True,
        help=f"Policy name in the scenario, or policy file. Default: {default}.",
    )


def replications_option(default: int, least: int = 1) -> click.Option:
    """Return ``--replications``."""
    return whole_option("--replications", default, "Rollouts per policy, case or setting.", least=least)


def most_option(default: int | None = 10_000) -> click.Option:
    """Return ``--most``."""
    return whole_option("--most", default, "Budget: maximum rollouts.")


def port_option(default: int) -> click.Option:
    """Return ``--port``."""
    return whole_option("--port", default, "Port to listen on; 0 is any free one.", least=0, most=65_535)


def vary_option(text: str) -> click.Option:
    """Return ``--vary``; `text` ends its help."""
    forms = "Values of a key: low:high:count or a,b,c; repeatable."
    return click.Option(["--vary"], metavar="KEY=VALUES", multiple=True, help=f"{forms} {text}")


def use(*options: click.Option | click.Argument) -> Callable[[_Function], _Function]:
    """Add shared options to a command, in this order."""

    def add(function: _Function) -> _Function:
        params: list[click.Parameter] = function.__dict__.setdefault("__click_params__", [])
        params += reversed(options)
        return function

    return add


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether an option was given on the command line."""
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def refuse_without(ctx: click.Context, needed: str, *names: str) -> None:
    """Refuse options that mean nothing without another one, which was not given."""
    for name in names:
        if is_given(ctx, name):
            raise click.UsageError(f"--{name} needs {needed}")


def read_precision(ctx: click.Context, texts: Sequence[str]) -> dict[str, str]:
    """Return the half-widths of ``--precision`` by measure, empty without that option; the analysis checks them."""
    if not texts:
        refuse_without(ctx, "--precision", "most")
        return {}
    if is_given(ctx, "replications"):
        raise click.UsageError("--precision can't be combined with --replications; use --most N as the budget")
    targets: dict[str, str] = {}
    for text in texts:
        measure, sign, width = (part.strip() for part in text.rpartition("="))
        if not (measure and sign and width):
            raise click.UsageError(f"--precision: {shorten(text)} is not MEASURE=WIDTH, such as 'makespan_s=5s'")
        if measure in targets:
            raise click.UsageError(f"--precision: duplicate measure {shorten(measure)}")
        targets[measure] = width
    return targets


def flags(names: Sequence[str]) -> str:
    """Return options as typed, such as --tls-cert."""
    return ", ".join("--" + name.replace("_", "-") for name in names)
