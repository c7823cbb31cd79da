"""``simdeploy serve``."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from simdeploy.cli import options as shared
from simdeploy.cli.answers import say
from simdeploy.cli.command import Command
from simdeploy.cli.inputs import choose_policies, read_with_warnings
from simdeploy.cli.options import REPLICATION, whole_option
from simdeploy.errors import InputError, Problem, shorten

_MOST_SPEED = 10_000
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")


def _check_speed(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    if not 0 < value <= _MOST_SPEED:
        raise click.BadParameter(f"{value:g} is not in the range 0<x<={_MOST_SPEED:,}")
    return value


def _check_names(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if not _HOST_NAME.fullmatch(name):
            raise click.BadParameter(f"{shorten(name)} is not the name of a host")
    return value


def _print_description(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from simdeploy.web.openapi import describe_api

    click.echo(json.dumps(describe_api(), indent=2))
    ctx.exit()


@click.command(
    "serve",
    cls=Command,
    params=[
        shared.SCENARIO,
        shared.policy_option("all"),
        click.Option(
            ["--speed"],
            type=shared.AnyNumber(),
            default=1.0,
            show_default=True,
            callback=_check_speed,
            help="Simulated seconds per second, at most 10,000.",
        ),
        shared.HOST,
        shared.port_option(8080),
        click.Option(
            ["--allow-host", "hosts"],
            metavar="NAME",
            multiple=True,
            callback=_check_names,
            help="Also accept requests for this host name; repeatable.",
        ),
        whole_option("--limit", 1000, "Deployments to keep, those at the start included; more are refused."),
        click.Option(
            ["--openapi"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_description,
            help="Print the OpenAPI description and exit.",
        ),
        shared.SEED,
        REPLICATION,
        shared.ALLOW_FILES,
    ],
    example="simdeploy serve scenarios/small-fleet.yaml --speed 60",
)
def command(**options: Any) -> None:
    """Serve simulated deployments over HTTP, as the API does.

    Starts one deployment per policy of SCENARIO, and more on request. They proceed with a simulated clock. You can list, read, create,
    pause, resume, promote, roll back and cancel deployments. Ctrl-C stops the server. Needs simdeploy[serve].
    """
    from simdeploy.web.serving import listen, make_server, require_packages, serve, url_of

    require_packages("serve", "starlette", "uvicorn")
    from simdeploy.web.app import make_app
    from simdeploy.web.service import PacedClock, Service

    scenario = read_with_warnings(options["scenario"], options["policies"])
    chosen = choose_policies(scenario, options["policies"] or list(scenario.policies))
    if options["limit"] < len(chosen):
        message = f"less than the {len(chosen):,} deployments at the start, one per policy"
        hint = "choose policies with --policy, or raise --limit"
        raise InputError(Problem(message, ("--limit",), found=str(options["limit"]), hint=hint))
    policies = [scenario.policy(policy) for policy in chosen.values()]
    with listen(options["host"], options["port"]) as listening:
        service = Service(
            scenario,
            policies,
            clock=PacedClock(options["speed"]),
            seed=options["seed"],
            replication=options["replication"],
            most=options["limit"],
        )
        for id_, name in zip(service.first, chosen, strict=True):
            say(f"{id_}: {name}", err=False)
        say(f"{url_of(listening)}/deployments, {options['speed']:g} x real time; Ctrl-C stops", err=False)
        serve(make_server(make_app(service, hosts=options["hosts"])), listening)
