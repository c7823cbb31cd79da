"""A check as JUnit XML, for CI systems."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from simdeploy.cli.screen import printable_lines
from simdeploy.report.check import describe_requirement, format_bounds, requirement_of
from simdeploy.report.formatting import find_cost_unit

if TYPE_CHECKING:
    from simdeploy.analysis.checking.checking import Check

# Zero, so that the same check gives the same file; several systems ignore tests without a time.
_UNTIMED = "0"


def write_junit(check: Check) -> bytes:
    """Return a check as JUnit XML: one suite per policy, one test case per requirement.

    "Not met" is a failure. "Undecided" is an error, since CI systems show skipped tests as green. Failed replications are
    an additional test case of their policy, an error.
    """
    root = ET.Element("testsuites")
    suites = []
    for policy, rows in check.verdicts.groupby("policy", sort=False):
        suite = ET.SubElement(root, "testsuite")
        name = printable_lines(f"{check.computed_under['scenario']}.{policy}")
        for row in rows.to_dict("records"):
            _add_case(suite, name, row, find_cost_unit(check.computed_under))
        if check.n_failed[str(policy)]:
            _add_failures(suite, name, check.n_failed[str(policy)], check.failures[str(policy)])
        suite.attrib |= {"name": name, **_counts(suite), "skipped": "0", "time": _UNTIMED}
        suites.append(suite)
    root.attrib |= {"name": "simdeploy check", **_counts(root), "time": _UNTIMED}
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_case(suite: ET.Element, name: str, row: Mapping[Hashable, Any], cost_unit: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=name, name=printable_lines(row["requirement"]), time=_UNTIMED)
    required = describe_requirement(requirement_of(row), cost_unit)
    estimate = (
        f"found {format_bounds(row, cost_unit)}, from {row['n']:,} observations in {row['replications']:,} rollouts"
    )
    match row["verdict"]:
        case "not met":
            outcome = ET.SubElement(case, "failure", type="not met", message=printable_lines(f"{required}; {estimate}"))
        case "undecided":
            message = printable_lines(f"{required}; {row['reason']}; {estimate}")
            outcome = ET.SubElement(case, "error", type="undecided", message=message)
        case _:
            outcome = ET.SubElement(case, "system-out")
    outcome.text = printable_lines(f"required {required}\n{estimate}\n")


def _add_failures(suite: ET.Element, name: str, n_failed: int, first: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=name, name="every replication ends", time=_UNTIMED)
    message = printable_lines(f"{n_failed:,} failed; the first: {first}")
    ET.SubElement(case, "error", type="failed replications", message=message)


def _counts(element: ET.Element) -> dict[str, str]:
    return {
        words: str(sum(1 for _ in element.iter(tag)))
        for words, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"))
    }
