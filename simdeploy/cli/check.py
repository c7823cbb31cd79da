"""``simdeploy check``."""

from __future__ import annotations

from pathlib import Path

from simdeploy.cli.files import file_option, write_file
from simdeploy.cli.options import REQUIRE, most_option, use
from simdeploy.cli.study import Finding, Study, study_command
from simdeploy.errors import InputError, Problem, plural


@study_command(
    "check",
    policies="all",
    example='simdeploy check scenarios/small-fleet.yaml --require "false_alarm given good <= 1%" --junit verdicts.xml',
)
@use(REQUIRE, most_option(), file_option(["--junit"], "Write verdicts as JUnit XML.", ".xml"))
def command(study: Study, *, requirements: tuple[str, ...] | None, most: int, junit: Path | None) -> Finding:
    """Check policies against requirements, for CI.

    Simulates the policies of SCENARIO until every requirement is decided, at most --most rollouts per policy.
    """
    from simdeploy.analysis.checking.checking import check

    if not requirements and not study.scenario.requirements:
        hint = 'add "requirements: [{of: false_alarm, given: good, at_most: 0.01}]" to the scenario, '
        hint += 'or use --require "false_alarm given good <= 1%"'
        raise InputError(Problem("no requirements", ("requirements",), file=study.scenario.source, hint=hint))
    result = study.run(check, study.scenario, study.policies or None)

    asked = study.policies or study.scenario.policies
    unasked = [name for name in asked if name not in set(result.verdicts["policy"])]

    def write_report() -> None:
        if junit is not None:
            from simdeploy.cli.junit import write_junit

            text = write_junit(result)
            write_file(junit, lambda file: file.write(text))

    return Finding(
        result,
        about=f"at most {plural(most, 'rollout')} of each policy",
        lines=[f"{name}: not checked, since it has no requirement" for name in unasked],
        under={"without_requirement": unasked},
        files=write_report,
        failed=result.verdict == "not met",
        undecided=result.verdict == "undecided",
    )
