"""How often intervals of estimates, differences, bands and values of information contain the truth."""

import pytest
from coverage_of_intervals import INTERVALS, SIZES, UNSEEN, count_repetitions, measure_coverage

REPETITIONS = 2000


@pytest.mark.timeout(600)
def test_coverage(benchmark, write_page):
    """Trusted 95 % intervals cover at least 93 %, less four standard errors, where samples show rare values (half a minute)."""
    found = benchmark.pedantic(_measure, rounds=1, iterations=1)
    header = ["interval", *(f"n = {n}" for n in SIZES)]
    rows = [[name, *(_tell(*cell) for cell in cells)] for name, cells in found.items()]
    lines = [header, ["---"] * len(header), *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    write_page("estimates.md", "pytest benchmarks/test_intervals.py --write-page", text)
    for name in INTERVALS:
        for _, trusted, covered in found[name]:
            assert covered >= 0.93 * trusted - 4 * (0.93 * 0.07 * trusted) ** 0.5


def _measure():
    """Return by name and size the numbers of repetitions, of trusted intervals, and of covering ones."""
    found = {}
    for name in INTERVALS | UNSEEN:
        n = count_repetitions(name, REPETITIONS)
        found[name] = [(n, *measure_coverage(name, size, n)) for size in SIZES]
    return found


def _tell(repetitions, trusted, covered):
    return f"{100 * covered / trusted:.1f} % ({100 * trusted / repetitions:.0f} %)" if trusted else "(0 %)"
