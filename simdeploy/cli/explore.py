"""``simdeploy explore``."""

from __future__ import annotations

from typing import Any

import click

from simdeploy.cli import options as shared
from simdeploy.cli.answers import say
from simdeploy.cli.command import Command
from simdeploy.cli.inputs import read_with_warnings
from simdeploy.cli.study import Study


@click.command(
    "explore",
    cls=Command,
    params=[
        shared.SCENARIO,
        shared.policy_option("one"),
        shared.SEED,
        shared.CONFIDENCE_LEVEL,
        shared.HOST,
        shared.port_option(8765),
        click.Option(["--browser/--no-browser"], default=True, help="Open the page in a browser."),
        shared.ALLOW_FILES,
    ],
    example="simdeploy explore scenarios/tune-1000.yaml",
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Move thresholds by hand in a browser.

    Serves a page for SCENARIO on this machine: sliders of --policy and of the main assumptions, estimates with intervals, the
    trade-off curve, one rollout to step through, and the policy as JSON. Prints its address, which has a token, and opens it.
    Ctrl-C ends it.
    """
    from simdeploy.web.serving import listen, require_packages

    require_packages("explore", "starlette", "uvicorn", "websockets")
    from simdeploy.explorer.preparing import make_explorer
    from simdeploy.explorer.running import serve

    scenario = read_with_warnings(options["scenario"], options["policies"], is_all=False)
    chosen = map(scenario.policy, Study(ctx, scenario, options["policies"]).policies.values())
    policies = {policy.name: policy for policy in chosen}
    policies |= {name: policy for name, policy in scenario.policies.items() if name not in policies}
    names = ("seed", "confidence_level")
    explorer = make_explorer(scenario, policies, **{name: options[name] for name in names})

    def announce(url: str) -> None:
        say(url, err=False)
        say("Ctrl-C ends it.")

    others = () if shared.is_given(ctx, "port") else (0,)
    with listen(options["host"], options["port"], *others) as listening:
        serve(explorer, listening, announce, opens=options["browser"])
