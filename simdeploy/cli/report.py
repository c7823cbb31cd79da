"""``simdeploy report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from simdeploy.cli import options as shared
from simdeploy.cli.answers import whoever_listens
from simdeploy.cli.command import Command, command_line
from simdeploy.cli.files import PathName, file_option, silence_matplotlib, write_text
from simdeploy.cli.inputs import prepare_cluster, read_with_warnings
from simdeploy.cli.progress import resumable
from simdeploy.cli.study import Study
from simdeploy.cli.vary import read_vary

_SIMULATING = ("replications", "seed", "engine", "workers", "cluster")


@click.command(
    "report",
    cls=Command,
    params=[
        click.Argument(["source"], metavar="SOURCE", type=PathName(exists=True)),
        file_option(["-o", "--out", "page"], "Write the report (.html, .md).", ".html", ".md"),
        click.Option(
            ["--format", "form"],
            type=shared.Choice(["html", "md"]),
            help="Format of the report; default: by the suffix of -o. 'md' without -o prints the report.",
        ),
        shared.policy_option("sliders"),
        shared.vary_option(
            "Policy keys to move; the policy's own value and the API's default are added. Default: two thresholds that matter."
        ),
        shared.replications_option(400, least=10),
        shared.CONFIDENCE_LEVEL,
        shared.SEED,
        *shared.WHERE,
        shared.ALLOW_FILES,
    ],
    example="simdeploy report scenarios/small-fleet.yaml -o report.html\nsimdeploy report checked.json --format md",
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Write one file to share: a page, or Markdown.

    SOURCE is a scenario, the folder of a sweep (--store), or the output of any command with -o FILE.json. The page has the question, the
    answer, a picture, sortable tables, assumptions, policies as JSON, and the command that computes it again. For a scenario, it compares
    the policies. For scenarios and sweeps, it has sliders for two thresholds. It needs no network.
    """
    prepare_cluster(ctx)
    silence_matplotlib()
    from simdeploy.sharing.gathering import gather, is_computed
    from simdeploy.sharing.simulating import Request
    from simdeploy.sharing.writing import FORMS

    path: Path | None = options["page"]
    ending = f".{options['form']}" if options["form"] else ".html" if path is None else path.suffix.lower()
    if path is None and ending == ".html":
        raise click.UsageError("a page needs -o FILE.html; --format md alone prints")
    if path is not None and path.suffix.lower() != ending:
        raise click.UsageError(f"--format {options['form']} needs a file that ends with {ending}")
    source: Any = options["source"]
    how = {name: options[name] for name in ("confidence_level", *_SIMULATING)}
    if is_computed(Path(source)):
        given = [name for name in ("policies", "vary", *_SIMULATING) if shared.is_given(ctx, name)]
        if given:
            flag = next(param.opts[0] for param in ctx.command.params if param.name == given[0])
            raise click.UsageError(f"{flag} is for scenarios; {source} has been computed")
    else:
        source = read_with_warnings(source, options["policies"])
        study = Study(ctx, source, options["policies"])
        how["policy"], policies = study.only_policy, study.policies or dict(source.policies)
        how["vary"] = read_vary(options["vary"], source, policies, has_ranges=False, is_grid=True)
    with resumable(ctx, None) as progress:
        text = FORMS[ending](gather(source, Request(**how, progress=progress, command=command_line(ctx))))
    if path is None:
        with whoever_listens():
            click.echo(text, nl=False)
    else:
        write_text(text, path)
