"""A change of measure: changed probabilities, and the weights that correct for them (model section 9)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.errors import Problem, nearest, raise_if_any, shorten
from simdeploy.world.distributions import Constant
from simdeploy.world.special import special

if TYPE_CHECKING:
    from fractions import Fraction

    from simdeploy.world.fleet import Fleet
    from simdeploy.world.operator import Operator
    from simdeploy.world.release import ReleaseKind

_LOWEST, _HIGHEST = 2.0**-53, 1 - 2.0**-53
_RELEASE = "release."


@dataclass(frozen=True, kw_only=True)
class Tilt:
    r"""Factors by which events are more likely than in the scenario; 1 is unchanged.

    Attributes
    ----------
    start_failure, start_hang, rollback_failure : float
        Factor on the odds p / (1 - p) for an attempt to start, or a rollback, whatever p is.
    affects : float
        Factor on the odds that the release affects a node, if it affects a share of the nodes.
    update_duration, rollback_duration, slowdown, start_failure_level, promote_after, escape_detection : float
        Divisor f of a draw's hazard: its survival :math:`S` becomes :math:`S^{1/f}`. Above 1 values are longer (or larger),
        and weights at most f. `start_failure_level` is the probability of a failed start, if it has a distribution.
        `escape_detection` includes `undo_after`, which inverts the same uniform.
    release : mapping of str to float
        By kind of release: factor on its probability, before all are normalised to sum to 1.

    Raises
    ------
    InputError
        For a factor that is not a number above 0.

    Examples
    --------
    >>> tilt = Tilt(start_failure=20, release={"bad": 5})
    >>> tilt.factors
    {'start_failure': 20.0, 'release.bad': 5.0}
    >>> print(tilt)
    start_failure x 20, release.bad x 5
    """

    start_failure: float = 1.0
    start_hang: float = 1.0
    rollback_failure: float = 1.0
    affects: float = 1.0
    update_duration: float = 1.0
    rollback_duration: float = 1.0
    slowdown: float = 1.0
    start_failure_level: float = 1.0
    promote_after: float = 1.0
    escape_detection: float = 1.0
    release: Mapping[str, float] | tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Validate the factors, and make them floats that can be hashed."""
        problems = []
        for name, value in self._all():
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not is_number or not 0 < value < math.inf:
                found = shorten(value)
                problems.append(Problem("invalid factor", ("tilt", name), found=found, allowed="a number above 0"))
        raise_if_any(problems)
        for name in NAMES:
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "release", tuple((str(kind), float(factor)) for kind, factor in self._kinds()))

    @classmethod
    def of(cls, factors: Mapping[str, float]) -> Tilt:
        """Make a tilt from factors by name, as in `factors`: kinds of release are ``release.NAME``.

        Raises
        ------
        InputError
            For an unknown name, with the nearest one.
        """
        of_draws: dict[str, Any] = {}
        kinds: dict[str, float] = {}
        problems = []
        for name, factor in factors.items():
            if name.startswith(_RELEASE):
                kinds[name.removeprefix(_RELEASE)] = factor
            elif name in NAMES:
                of_draws[name] = factor
            else:
                allowed = ", ".join((*NAMES, "release.KIND"))
                hint = nearest(name, NAMES)
                problems.append(Problem("can't be tilted", ("tilt", name), allowed=allowed, hint=hint))
        raise_if_any(problems)
        return cls(**of_draws, release=kinds)

    @property
    def factors(self) -> dict[str, float]:
        """The factors that are not 1, by name; kinds of release are ``release.NAME``."""
        return {name: factor for name, factor in self._all() if factor != 1}

    def __str__(self) -> str:
        return ", ".join(f"{name} x {factor:.3g}" for name, factor in self.factors.items()) or "nothing"

    def _kinds(self) -> Iterator[tuple[str, float]]:
        yield from self.release.items() if isinstance(self.release, Mapping) else self.release

    def _all(self) -> Iterator[tuple[str, float]]:
        for name in NAMES:
            yield name, getattr(self, name)
        for kind, factor in self._kinds():
            yield f"{_RELEASE}{kind}", factor


NAMES = tuple(field.name for field in fields(Tilt) if field.name != "release")
NO_TILT = Tilt()


def tilt_problems(tilt: Tilt, fleet: Fleet, release: Sequence[ReleaseKind], operator: Operator) -> list[Problem]:
    """List factors without effect, because the scenario draws nothing that they change."""
    tiltable_names = tiltable(fleet, release, operator)
    message, allowed = "the scenario draws nothing here", ", ".join(tiltable_names) or "nothing"
    return [
        Problem(message, ("tilt", name), allowed=allowed, hint=nearest(name, tiltable_names))
        for name in tilt.factors
        if name not in tiltable_names
    ]


def tiltable(fleet: Fleet, release: Sequence[ReleaseKind], operator: Operator) -> tuple[str, ...]:
    """Return the names of what can be tilted in a world."""
    behaviours = fleet.behaviours
    may_happen = {
        "start_failure": any(b.start_failure.mean > 0 for b in behaviours)
        or any(kind.start_failure for kind in release),
        "start_hang": any(b.start_hang for b in behaviours) or any(kind.start_hang for kind in release),
        "rollback_failure": any(b.rollback_failure for b in behaviours),
        "affects": any(kind.affects.by == "share" and 0 < (kind.affects.share or 0) < 1 for kind in release),
    }
    laws = {
        "update_duration": [b.update_duration for b in behaviours],
        "rollback_duration": [b.rollback_duration for b in behaviours],
        "slowdown": [b.slowdown for b in behaviours],
        "start_failure_level": [b.start_failure for b in behaviours],
        "promote_after": [operator.promote_after],
        "escape_detection": [operator.escape_detection, operator.undo_after],
    }
    varying = {name for name, of_name in laws.items() if not all(isinstance(law, Constant) for law in of_name)}
    names = [name for name in NAMES if may_happen.get(name) or name in varying]
    possible = [kind for kind in release if kind.probability]
    return (*names, *(f"{_RELEASE}{kind.name}" for kind in possible if len(possible) > 1))


def find_untiltable(fleet: Fleet) -> str:
    """Return random events of nodes or zones, such as crashes, that no tilt makes more frequent; empty if none has an effect."""
    behaviours = [b for b, size in zip(fleet.behaviours, fleet.class_sizes, strict=True) if size]
    happens = {
        "crashes": any(b.crash and b.crash.repair.mean > 0 for b in behaviours),
        "zone outages": any(b.zone_outage and b.zone_outage.repair.mean > 0 for b in behaviours),
        "degraded spells": fleet.has_requests and any(b.flapping and b.flapping.error_rate for b in behaviours),
        "offline nodes": any(b.connection and b.connection.offline.mean > 0 for b in behaviours),
    }
    return " and ".join(name for name, does in happens.items() if does)


def odds_times(p: float, factor: float) -> float:
    """Return the probability whose odds are `factor` times those of `p`.

    Examples
    --------
    >>> odds_times(0.5, 3.0), odds_times(0.0, 3.0)
    (0.75, 0.0)
    """
    return p if factor == 1 else p * factor / (1 - p + p * factor)


def log_weight_of_chance(p: float, factor: float, *, happened: bool) -> float:
    """Return the log ratio of an outcome's probability with `p` to that with odds multiplied by `factor`."""
    return math.log(1 - p + p * factor) - (math.log(factor) if happened else 0.0)


def bend(u: Any, factor: float) -> Any:
    """Return the uniform that replaces `u` if the hazard is divided by `factor`: 1 - (1 - u) ** factor.

    Examples
    --------
    >>> float(bend(0.5, 2.0))
    0.75
    """
    if factor == 1:
        return u
    return np.minimum(np.maximum(-special.expm1(factor * special.log1p(-u)), _LOWEST), _HIGHEST)


def log_weight_of_draw(u: float, factor: float) -> float:
    """Return the log ratio of a draw's density to that with its hazard divided by `factor`; `u` is the uniform before `bend`."""
    return math.log(factor) + (factor - 1) * math.log1p(-u)


def tilted_probabilities(kinds: Sequence[ReleaseKind], tilt: Tilt) -> list[Fraction]:
    """Return the probabilities of the kinds of release under a tilt, exact."""
    from fractions import Fraction

    factors = {name: Fraction(factor) for name, factor in dict(tilt.release).items()}
    weighed = [kind.probability * factors.get(kind.name, 1) for kind in kinds]
    total = sum(weighed)
    return weighed if total in (0, 1) else [weight / total for weight in weighed]
