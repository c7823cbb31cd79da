"""The points of a sensitivity analysis: Morris' trajectories, or Sobol's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from simdeploy.analysis.asking.naming import format_factor
from simdeploy.errors import InputError, Problem, not_among, raise_if_any, shorten
from simdeploy.experiments.arguments import read_seed
from simdeploy.experiments.design import check_number_of_cases, sample_hypercube, spread_over
from simdeploy.experiments.levers import Lever
from simdeploy.experiments.ranges import Choices, Interval, Spread
from simdeploy.units import is_whole

if TYPE_CHECKING:
    import pandas as pd


Method = Literal["morris", "sobol"]
METHODS: tuple[Method, ...] = get_args(Method)

# The least sizes; with fewer blocks, intervals mean little.
SIZES = {"morris": 20, "sobol": 256}
_LEAST = {"morris": 4, "sobol": 16}

# Levels of Morris' grid. An even number, with a step of half of them, makes all levels equally frequent.
_LEVELS = 4


@dataclass(frozen=True, eq=False)
class SensitivityDesign:
    """The points of one method, in blocks that are used or left out as a whole.

    Attributes
    ----------
    method : {'morris', 'sobol'}
    levers : tuple of Lever
        The factors.
    spreads : tuple of Interval or Choices
        Their ranges.
    values : tuple of tuple
        Values of each factor, one per point.
    places : ndarray of float, shape (blocks, points of a block, levers)
        Position of each value in its range, from 0 to 1.
    moved : ndarray of int, shape (blocks, levers), or None
        Morris: step of a trajectory at which a factor moves.
    seed : int

    Examples
    --------
    >>> from simdeploy import design_sensitivity
    >>> design = design_sensitivity({"x": (0.0, 3.0), "y": [1, 2]}, size=4)
    >>> design.names, design.places.shape
    (('x', 'y'), (4, 3, 2))
    """

    method: Method
    levers: tuple[Lever, ...]
    spreads: tuple[Spread, ...]
    values: tuple[tuple[Any, ...], ...]
    places: np.ndarray
    moved: np.ndarray | None
    seed: int

    def __len__(self) -> int:
        return len(self.places) * int(self.places.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the factors."""
        return tuple(lever.name for lever in self.levers)

    @property
    def points(self) -> pd.DataFrame:
        """The points, one per row, block by block."""
        import pandas as pd

        return pd.DataFrame(dict(zip(self.names, self.values, strict=True)))


def design_sensitivity(
    vary: Mapping[str, Any], *, method: Method = "morris", size: int | None = None, seed: int = 0
) -> SensitivityDesign:
    r"""Choose the points at which to evaluate a function.

    Parameters
    ----------
    vary : mapping of str to range or list
        By name: a tuple of the lowest and the highest value, a `Range`, or a list of values.
    method : {'morris', 'sobol'}
    size : int, optional
        Morris: number of trajectories, each with one point more than there are factors; 20 by default. Sobol: number of
        rows, each with two points more; 256 by default.
    seed : int, default 0
        Determines the points.

    Returns
    -------
    SensitivityDesign
        Its `points` is a DataFrame; pass the responses to `analyze_sensitivity` in the same order.

    Raises
    ------
    InputError
        Lists every factor without a range.

    Notes
    -----
    Morris (1991 [1]_, section 3): a trajectory starts at a random point of the grid of four levels
    :math:`\{0, 1/3, 2/3, 1\}` and moves each factor once, in random order, by :math:`\Delta = 2/3` of its range up or
    down: the matrix B* of that section. A factor with fewer values than levels moves from one value to another, and its
    effect is also per range.

    Sobol: matrices A and B of Saltelli et al. (2010 [2]_, section 3), here the two halves of the columns of one Latin
    hypercube (McKay, Beckman and Conover 1979 [3]_), so any number of rows is allowed; and for each factor the matrix
    :math:`A_B^{(i)}`, A with one column from B. Row j of all of them is one block.

    References
    ----------
    .. [1] Morris, M. D. (1991). Factorial sampling plans for preliminary computational experiments. Technometrics
       33(2), 161-174.
    .. [2] Saltelli, A., Annoni, P., Azzini, I., Campolongo, F., Ratto, M. and Tarantola, S. (2010). Variance based
       sensitivity analysis of model output. Design and estimator for the total sensitivity index. Computer Physics
       Communications 181(2), 259-270.
    .. [3] McKay, M. D., Beckman, R. J. and Conover, W. J. (1979). A comparison of three methods for selecting values of
       input variables in the analysis of output from a computer code. Technometrics 21(2), 239-245.

    Examples
    --------
    >>> design = design_sensitivity({"x": (0.0, 3.0), "y": [1, 2]}, size=4)
    >>> design.points.head(3)
         x  y
    0  3.0  2
    1  3.0  1
    2  1.0  1
    """
    if not isinstance(vary, Mapping):
        raise InputError(Problem("no factors", ("vary",), found=shorten(vary), allowed="a mapping of names to ranges"))
    return make_design([Lever(str(name), "number") for name in vary], list(vary.values()), method, size, seed=seed)


def make_design(
    levers: Sequence[Lever], asked: Sequence[Any], method: object, size: int | None, *, seed: int
) -> SensitivityDesign:
    """Choose the points for keys of a scenario, as `design_sensitivity` does for any names."""
    problems = _problems(levers, method, size)
    raise_if_any(problems)
    seed = read_seed(seed)
    kind: Method = "sobol" if method == "sobol" else "morris"
    spreads = [spread_over(lever, given, problems) for lever, given in zip(levers, asked, strict=True)]
    raise_if_any(problems)
    problems += [
        Problem("a single value can't be varied", (lever.name,), allowed="a range, or a list of several values")
        for lever, spread in zip(levers, spreads, strict=True)
        if spread.is_single
    ]
    problems += [
        Problem("duplicate value", (lever.name,), found=describe_spread(lever.name, spread), allowed="each value once")
        for lever, spread in zip(levers, spreads, strict=True)
        if isinstance(spread, Choices) and len(set(map(repr, spread.values))) < len(spread.values)
    ]
    raise_if_any(problems)
    n_blocks = SIZES[kind] if size is None else int(size)
    check_number_of_cases(n_blocks * (len(levers) + (1 if kind == "morris" else 2)))
    if kind == "morris":
        fractions, moved = _trajectories(len(levers), n_blocks, seed)
        columns = [spread.step(column) for spread, column in _by_lever(spreads, fractions)]
        placed = [spread.place(values) for spread, values in zip(spreads, columns, strict=True)]
        places = np.stack(placed, axis=1).reshape(fractions.shape)
        return SensitivityDesign(kind, tuple(levers), tuple(spreads), tuple(map(tuple, columns)), places, moved, seed)
    places = _rows(len(levers), n_blocks, seed)
    columns = [spread.draw(column) for spread, column in _by_lever(spreads, places)]
    return SensitivityDesign(kind, tuple(levers), tuple(spreads), tuple(map(tuple, columns)), places, None, seed)


def describe_spread(name: str, spread: Spread) -> str:
    """Describe a range of a varied key in words.

    Examples
    --------
    >>> describe_spread("health_check.deadline", Interval(30, 600, is_whole=False, is_log=True))
    '30s to 10m, log'
    """
    if isinstance(spread, Interval):
        return f"{format_factor(name, spread.low)} to {format_factor(name, spread.high)}" + (
            ", log" if spread.is_log else ""
        )
    return ", ".join("unset" if value is None else format_factor(name, value) for value in spread.values)


def _problems(levers: Sequence[Lever], method: object, size: object) -> list[Problem]:
    problems = []
    if not levers:
        problems.append(Problem("nothing to vary", ("vary",), allowed="at least one factor with its range"))
    if method not in METHODS:
        problems.append(not_among("unknown method", ("method",), method, METHODS))
    elif size is not None:
        least = _LEAST[str(method)]
        if not is_whole(size, least):
            blocks = "trajectories" if method == "morris" else "rows"
            allowed = f"at least {least} {blocks}"
            problems.append(Problem("invalid design size", ("size",), found=shorten(size), allowed=allowed))
    return problems


def _by_lever(spreads: Sequence[Spread], fractions: np.ndarray) -> list[tuple[Spread, np.ndarray]]:
    """Return each range with its column of fractions, all blocks in sequence."""
    return list(zip(spreads, fractions.reshape(-1, len(spreads)).T, strict=True))


def _trajectories(n_levers: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of Morris' trajectories, and the step at which each factor moves."""
    rng = np.random.default_rng(seed)
    lowest = rng.integers(0, _LEVELS // 2, size=(n, n_levers)) / (_LEVELS - 1)
    delta = _LEVELS / (2 * (_LEVELS - 1))
    goes_up = rng.random((n, n_levers)) < 0.5
    moved = np.argsort(rng.random((n, n_levers)), axis=1)
    steps = np.arange(n_levers + 1)[None, :, None]
    has_moved = steps > moved[:, None, :]
    is_high = has_moved == goes_up[:, None, :]
    return lowest[:, None, :] + delta * is_high, moved


def _rows(n_levers: int, n: int, seed: int) -> np.ndarray:
    """Return by row the points of A, of B, and of A with each column from B."""
    sample = sample_hypercube(2 * n_levers, n, seed=seed)
    a, b = sample[:, :n_levers], sample[:, n_levers:]
    mixed = np.where(np.eye(n_levers, dtype=bool)[None], b[:, None, :], a[:, None, :])
    return np.concatenate([a[:, None, :], b[:, None, :], mixed], axis=1)
