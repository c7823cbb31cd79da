"""Boxes of worlds in which something happens more often than elsewhere, from any table of worlds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simdeploy.analysis.asking.left_out import count_reasons, is_unrepresentative
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.requirements import Asked, find_requirements, read_requirements
from simdeploy.analysis.discovery.breaking import Breaking, judge_worlds, read_labels
from simdeploy.analysis.discovery.columns import read_columns
from simdeploy.analysis.discovery.result import Discovery
from simdeploy.analysis.discovery.searching import search
from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.experiments.arguments import read_seed
from simdeploy.experiments.gathering import gather
from simdeploy.result import read_computed_under
from simdeploy.scenario.measures import Requirement
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from simdeploy.experiments.gathering import Batches
    from simdeploy.scenario.parts import Costs

# So a box with a tenth of the worlds of one half has at least two.
LEAST_POINTS = 40


def find_boxes(
    worlds: pd.DataFrame | Batches,
    is_broken: Any = None,
    *,
    requirements: Asked | None = None,
    costs: Costs | None = None,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> Discovery:
    """Find boxes of worlds in which something happens more often than elsewhere.

    Parameters
    ----------
    worlds : DataFrame, SweepResult or StoredTable
        One row per world and one column per factor, with `is_broken`; or the table of a sweep of one policy, with
        `requirements`, also one with worlds by kind of release.
    is_broken : array_like of bool, optional
        Whether each world breaks; missing if unknown.
    requirements : str or Requirement, or several of them, optional
        For a table of replications: a world (case) breaks if one of them isn't met. By default the scenario's requirements,
        from `sweep`.
    costs : Costs, optional
        For requirements on costs. By default the scenario's costs, from `sweep`.
    confidence_level : float, default 0.95
        Of each interval; 1 minus it is also the largest probability of finding a box where there is none.
    seed : int, default 0
        Seed of the random split of worlds into halves.

    Returns
    -------
    Discovery

    Raises
    ------
    InputError
        If an argument is invalid.

    Notes
    -----
    PRIM searches one half of the worlds (`peel`), and one box of the path is chosen (`choose`). The other, held-out
    half tests it: the box is found if by Fisher's exact test (`hypergeometric_tail`) it is denser than the rest. Its
    density and coverage are estimated there, with intervals of Clopper and Pearson in which undecided worlds count as whatever
    moves the limit outwards. So noise yields a box with
    probability at most :math:`1 -` `confidence_level`, whatever the search tried. After a box is found, the search
    continues in the remaining worlds, for up to three boxes (`search`).

    Unknown worlds are left out. If they are more than a tenth for reasons other than failures, no boxes are given,
    because the remaining worlds are not representative.

    In a table of a sweep all worlds share the same replications, so random effects are common to both halves;
    `discover` uses different ones for each half.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> worlds = pd.DataFrame({"x": rng.random(400), "y": rng.random(400), "z": rng.random(400)})
    >>> result = find_boxes(worlds, (worlds["x"] > 0.6) & (worlds["y"] < 0.5))
    >>> result.boxes[["box", "is_found", "limits"]]
       box  is_found                               limits
    0    1      True  x is above 0.61 and y is below 0.49
    """
    seed = read_seed(seed)
    raise_if_any(level_problems(confidence_level))
    wanted: tuple[Requirement, ...] = ()
    policy, n_replications, n_failed = None, 0, 0
    under = read_computed_under(worlds)
    if is_broken is None:
        wanted = find_requirements(worlds) if requirements is None else read_requirements(requirements)
        if not wanted:
            allowed = "is_broken, or requirements for a table of replications"
            raise InputError(Problem("no requirement", ("requirements",), allowed=allowed))
        values = Values(worlds, [requirement.measure for requirement in wanted], costs=costs)
        points = _factors(values.cases)
        policy = str(values.cases["policy"].iloc[0])
        if requirements is None:
            wanted = tuple(each for each in wanted if each.policy in (None, policy))
        wanted = read_requirements(wanted, policies=[policy])
        known = judge_worlds(values, wanted, confidence_level=confidence_level)
        n_replications, n_failed = values.n_replications, int((~values.is_ok).sum())
        under |= values.counted_under
    else:
        points = (
            worlds.reset_index(drop=True) if isinstance(worlds, pd.DataFrame) else _factors(gather(worlds, ()).cases)
        )
        known = read_labels(is_broken, len(points))
    if len(points) < LEAST_POINTS or points.shape[1] == 0:
        found = f"{len(points):,} worlds of {points.shape[1]} factors"
        allowed = f"at least {LEAST_POINTS} worlds (half are held out) and one factor"
        raise InputError(Problem("too few worlds", ("worlds",), found=found, allowed=allowed))
    is_search = np.random.default_rng(seed).permutation(len(points)) < len(points) // 2
    return make_discovery(
        points,
        known,
        is_search,
        policy=policy,
        requirements=wanted,
        n_replications=n_replications,
        n_failed=n_failed,
        confidence_level=confidence_level,
        under=under,
    )


def make_discovery(
    points: pd.DataFrame,
    known: Breaking,
    is_search: np.ndarray,
    *,
    policy: str | None,
    requirements: tuple[Requirement, ...],
    n_replications: int,
    n_failed: int,
    confidence_level: float,
    under: Mapping[str, Any],
) -> Discovery:
    """Search for boxes in worlds (one column per factor) and build the result.

    `is_search` marks the worlds to search; the others are held out. The other arguments are as in `Discovery`.
    """
    import pandas as pd

    left_out = count_reasons(known.reason[~known.is_known].tolist())
    n_known = int(known.is_known.sum())
    is_refused = is_unrepresentative(left_out, len(points)) or n_known < LEAST_POINTS
    usable = known._replace(is_broken=np.zeros(len(points), dtype=bool)) if is_refused else known
    outcome = search(read_columns(points), usable, is_search, confidence_level=confidence_level)
    worlds = points.assign(
        is_held_out=~is_search,
        is_broken=pd.arrays.BooleanArray(known.is_broken, ~known.is_known),
        is_undecided=known.is_undecided,
        reason=known.reason.astype(str),
        box=outcome.members,
    )
    n_broken = int(known.is_broken[known.is_known].sum())
    low, high = known.take(known.is_known).bound_share(confidence_level)
    return Discovery(
        policy=policy,
        requirements=requirements,
        boxes=outcome.boxes,
        limits=outcome.limits,
        path=outcome.path,
        worlds=worlds,
        n_known=n_known,
        n_broken=n_broken,
        share=n_broken / n_known if n_known else math.nan,
        share_low=low,
        share_high=high,
        left_out=left_out,
        is_refused=is_refused,
        n_replications=n_replications,
        n_failed=n_failed,
        confidence_level=confidence_level,
        computed_under=under,
    )


def _factors(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that distinguish worlds."""
    problems = [
        Problem(f"a single {name}", (name,), found=", ".join(map(str, cases[name].unique())))
        for name in ("scenario", "policy")
        if name in cases and cases[name].nunique() > 1
    ]
    raise_if_any(problems)
    return cases.drop(columns=[name for name in ("case", "scenario", "policy") if name in cases])
