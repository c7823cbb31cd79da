"""``simdeploy explore``."""

from __future__ import annotations

import inspect
from typing import Any

import click

from simdeploy.cli import options as shared
from simdeploy.cli.answers import say
from simdeploy.cli.command import Command
from simdeploy.cli.inputs import read_with_warnings
from simdeploy.cli.study import Study


@click.pass_context
def _explore(ctx: click.Context, /, **options: Any) -> None:
    """Move thresholds by hand in a browser.

    Serves a page for SCENARIO on this machine: sliders of --policy and of the main assumptions, estimates with intervals, the
    trade-off curve, one rollout to step through, and the policy as JSON. Prints its address, which has a token, and opens it.
    Ctrl-C ends it.
    """
    from simdeploy.explorer.notebook import require

    require("starlette", "uvicorn", "websockets")
    from simdeploy.explorer.preparing import make_explorer
    from simdeploy.explorer.running import is_loopback, open_port, serve

    scenario = read_with_warnings(options["scenario"], options["policies"], is_all=False)
    chosen = map(scenario.policy, Study(ctx, scenario, options["policies"]).policies.values())
    policies = {policy.name: policy for policy in chosen}
    policies |= {name: policy for name, policy in scenario.policies.items() if name not in policies}
    names = ("seed", "confidence_level")
    explorer = make_explorer(scenario, policies, **{name: options[name] for name in names})
    host = options["host"]
    with open_port(host, options["port"]) as bound:
        if not is_loopback(host):
            say(
                f"warning: other machines can reach {host}; traffic is not encrypted, and whoever sees the address can use it"
            )

        def announce(url: str) -> None:
            say(url, err=False)
            say("Ctrl-C ends it.")

        serve(explorer, bound, host, announce, opens=options["browser"])


command = Command(
    "explore",
    callback=_explore,
    params=[
        shared.SCENARIO,
        shared.policy_option("one"),
        shared.SEED,
        shared.CONFIDENCE_LEVEL,
        shared.whole_option("--port", None, "Port; default: 8765, or any free one.", least=0, most=65535),
        click.Option(["--host"], default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.Option(["--browser/--no-browser"], default=True, help="Open the page in a browser."),
        shared.ALLOW_FILES,
    ],
    help=inspect.getdoc(_explore),
    example="simdeploy explore scenarios/tune-1000.yaml",
)
