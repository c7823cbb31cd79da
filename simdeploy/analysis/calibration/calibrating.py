"""`calibrate`: fits a scenario to records."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.calibration.attempts import Attempts, read_attempts
from simdeploy.analysis.calibration.outages import fit_outages
from simdeploy.analysis.calibration.parameters import FEWEST_FOR_SPREAD, Parameter
from simdeploy.analysis.calibration.releases import Base, find_releases, fit_effects, fit_mix, name_kinds
from simdeploy.analysis.calibration.requests import Failures, fit_requests
from simdeploy.analysis.calibration.result import DROPPED, FITS, PARAMETERS, POINTS, Calibration
from simdeploy.analysis.calibration.starts import count_by_rollout, fit_fraction
from simdeploy.analysis.calibration.updates import FittedDurations, fit_durations
from simdeploy.analysis.calibration.writing import write_scenario
from simdeploy.errors import InputError, Problem, plural, raise_if_any
from simdeploy.experiments.arguments import MOST_SEED, whole_problems
from simdeploy.records import Records, as_records
from simdeploy.result import make_frame
from simdeploy.statistics.levels import level_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    FilePath = str | os.PathLike[str]

# A class with at least this many attempts, in enough rollouts to estimate a spread, is fitted separately.
_FEWEST_ATTEMPTS = 30

_MIXED = "includes defective releases, because it is unknown which were"


def calibrate(
    records: Records | FilePath | Sequence[FilePath],
    *,
    mapping: Mapping[str, str] | None = None,
    confidence_level: float = 0.95,
    goodness_samples: int = 99,
    seed: int = 0,
) -> Calibration:
    """Fit a scenario to records of rollouts.

    Parameters
    ----------
    records : Records, path or sequence of path
        Records from `read_records`, or files and folders that it reads.
    mapping : mapping of str to str, optional
        Names of columns in the files, as for `read_records`.
    confidence_level : float, default 0.95
        Of each interval separately.
    goodness_samples : int, default 99
        Samples of the parametric bootstrap that tests the chosen families; 0 for no test.
    seed : int, default 0
        Seed of these samples.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If an argument is invalid, or no record says how long an attempt to start took.

    Notes
    -----
    The rollout is the unit: the likelihood is a product over rollouts, each integrated over what its nodes share. Intervals are
    profile-likelihood intervals with quantiles of Student's t for the number of rollouts. `docs/calibration.md` explains how
    each parameter is fitted, and what records can't show.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "ten-nodes",
    ...     "fleet": {"nodes": 10, "update_duration": {"exponential": {"mean": "1m"}}},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> rollouts = [simdeploy.simulate(scenario, replication=k).to_records(str(k)) for k in range(20)]
    >>> found = simdeploy.calibrate(simdeploy.Records.join(rollouts), goodness_samples=0)
    >>> found.scenario.fleet.nodes, found.fits["family"][0]
    (10, 'exponential')
    """
    problems = [*level_problems(confidence_level), *whole_problems(0, goodness_samples=goodness_samples)]
    raise_if_any([*problems, *whole_problems(0, MOST_SEED, seed=seed)])
    records = as_records(records, mapping)
    fitting = _Fitting(records, read_attempts(records), confidence_level, int(goodness_samples), int(seed))
    fitting.fit()
    return fitting.finish()


@dataclass
class _Fitting:
    """Collects what is found."""

    records: Records
    attempts: Attempts
    confidence_level: float
    samples: int
    seed: int
    parameters: list[Parameter] = field(default_factory=list)
    fits: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    laws: dict[str, Any] = field(default_factory=dict)  # of durations, by path

    def fit(self) -> None:
        """Fit everything that the records show."""
        frame, rollouts = self.attempts.frame, self.records.rollouts
        if not (frame["is_usable"] & frame["is_over"]).any():
            hint = "nodes need dispatched_at_s and started_at_s"
            problem = Problem("no record says how long an attempt to start took", ("records",), hint=hint)
            raise InputError([problem, *self._list_dropped()])
        class_names = self._find_classes()
        classes = frame["class"].to_numpy(dtype=object)
        is_bad = rollouts["defective"].fillna(False).to_numpy(dtype=bool)
        self._describe_fleet()
        self._fit_starts("fleet", ~np.isin(classes, class_names), ~is_bad[frame["rollout"].to_numpy()])
        failures = Failures.of(self.records)
        self._fit_requests(failures, rollouts["rollout"][is_bad])
        for name in class_names:
            is_class = classes == name
            self._fit_share(name)
            self._fit_starts(f"fleet.classes.{name}", is_class, ~is_bad[frame["rollout"].to_numpy()])
        outages = fit_outages(self.records, self.confidence_level, samples=self.samples, seed=self.seed)
        self.parameters += outages.parameters
        self.fits += outages.fits
        self.points += outages.points
        self.laws |= outages.laws
        self._describe_connection()
        self._fit_releases(failures)

    def _list_dropped(self) -> list[Problem]:
        """Return why rows are not used."""
        rows = [row for part in (self.records, self.attempts) for row in part.dropped.to_dict("records") if row["rows"]]
        return [
            Problem(
                row["reason"],
                file=row["file"] if isinstance(row["file"], str) else None,
                found=plural(row["rows"], "row"),
            )
            for row in rows
        ]

    def finish(self) -> Calibration:
        """Return the result."""
        import pandas as pd

        rollouts = self.records.rollouts
        text, refused = write_scenario(self.records, self.parameters, self.laws)
        dropped = [self.records.dropped, self.attempts.dropped, make_frame(refused, DROPPED)]
        return Calibration(
            make_frame([parameter.to_row() for parameter in self.parameters], PARAMETERS),
            make_frame(self.fits, FITS),
            make_frame(self.points, POINTS),
            pd.concat(dropped, ignore_index=True).astype(DROPPED),
            n_rollouts=len(rollouts),
            n_nodes=len(self.attempts.frame),
            confidence_level=self.confidence_level,
            text=text,
            computed_under={"goodness_samples": self.samples, "seed": self.seed},
            _records=self.records,
            _write_again=self._write_again,
        )

    def _write_again(self, records: Records, with_intervals: bool) -> str:
        """Fit other records in the same way; return the scenario's text, with or without intervals in its comments."""
        # At confidence level 0 an interval is just its estimate, which saves the search for limits.
        level = self.confidence_level if with_intervals else 0.0
        again = _Fitting(records, read_attempts(records), level, samples=0, seed=self.seed)
        again.fit()
        return write_scenario(records, again.parameters, again.laws)[0]

    def _find_classes(self) -> list[str]:
        """Return the classes with enough attempts for a separate fit, except the largest if that would be all."""
        frame = self.attempts.frame
        counts = frame[frame["is_usable"] & frame["is_over"]].groupby("class")["rollout"].agg(["size", "nunique"])
        is_enough = (
            (counts["size"] >= _FEWEST_ATTEMPTS) & (counts["nunique"] >= FEWEST_FOR_SPREAD) & (counts.index != "")
        )
        large = counts[is_enough]
        if large["size"].sum() == counts["size"].sum():
            large = large.drop(index=large["size"].idxmax())
        return sorted(large.index)

    @property
    def _is_mixed(self) -> bool:
        """Whether it is unknown of some releases whether they were defective."""
        rollouts = self.records.rollouts
        return bool((rollouts["defective"].isna() & find_releases(rollouts)).any())

    def _describe_fleet(self) -> None:
        rollouts, nodes = self.records.rollouts, self.records.nodes
        # The last rollout is the one that began last, or without times the one in the last row.
        in_time = rollouts.sort_values("started_at", kind="stable", na_position="first")
        sizes = in_time["nodes"].dropna().astype(int)
        is_stated = not sizes.empty
        if not is_stated:
            sizes = nodes.groupby("rollout").size()
        # Records of a stopped rollout may lack nodes.
        size = int(sizes.iloc[-1] if is_stated else sizes.max())
        rest = (len(sizes), len(nodes))
        which = "of the last rollout" if is_stated else "the most nodes in a rollout"
        note = "" if sizes.nunique() == 1 else f"{which}; others had other sizes"
        self.parameters.append(Parameter("fleet.nodes", size, float(sizes.min()), float(sizes.max()), *rest, note=note))
        zones = nodes["zone"].nunique()
        if zones > 1:
            self.parameters.append(Parameter("fleet.zones", zones, zones, zones, *rest))

    def _fit_starts(self, path: str, is_part: np.ndarray, is_base: np.ndarray) -> None:
        """Fit durations, failures and hangs of the fleet or of a class."""
        attempts, level = self.attempts, self.confidence_level
        frame = attempts.frame
        rows = is_part & frame["is_usable"].to_numpy()
        part = frame[is_part]
        fitted = fit_durations(
            f"{path}.update_duration",
            attempts.durations(is_part),
            limit_s=frame["limit_s"].to_numpy()[rows],
            may_hang=bool(part["silent"].any()),
            confidence_level=level,
            samples=self.samples,
            seed=self.seed,
        )
        self.parameters += fitted.parameters
        self.fits += fitted.fits
        self.points += fitted.points
        self.laws[f"{path}.update_duration"] = fitted.law
        notes = [] if attempts.are_counted else ["numbers of attempts are not on record: one per node assumed"]
        if attempts.are_deadlines_missing:
            notes.append("no deadline on record: nodes silent until theirs count as failed, not as hangs")
        if self._is_mixed:
            notes.append(_MIXED)
        base = frame[is_part & is_base]
        counted, total = count_by_rollout(base, "failed", ["ended"])
        if len(total):
            self.parameters += fit_fraction(
                f"{path}.start_failure",
                counted,
                total,
                n_nodes=len(base),
                confidence_level=level,
                note="; ".join(notes),
            )
        if path == "fleet" and attempts.start_attempts is not None:
            n, note = attempts.start_attempts, "the most attempts of a node before it failed"
            rest = (part["rollout"].nunique(), len(part))
            parameter = Parameter("fleet.start_attempts", n, n, n, *rest, note=note)
            if not attempts.are_counted:
                note = "numbers of attempts are not on record"
                parameter = replace(parameter, low=math.nan, high=math.nan, source="assumed", note=note)
            self.parameters.append(parameter)
        self._fit_hangs(f"{path}.start_hang", part, fitted)

    def _fit_hangs(self, path: str, part: pd.DataFrame, fitted: FittedDurations) -> None:
        """Fit the fraction of hangs. If silent attempts may also be late, bound it: from none to all of them."""
        note = "silent until the deadline: hangs, or starts that would have come later; the value follows from the fitted family"
        if fitted.hangs is not None:
            note = "watched for longer than all other attempts took: hangs, if times are constant"
            # Attempts without a usable time count as hangs if they were silent.
            hangs = part["silent"].to_numpy().copy()
            hangs[part["is_usable"].to_numpy()] = fitted.hangs
            part = part.assign(silent=hangs)
        counted, total = count_by_rollout(part, "silent", ["silent", "ended"])
        parameter = fit_fraction(path, counted, total, n_nodes=len(part), confidence_level=self.confidence_level)[0]
        if not counted.any():
            parameter = replace(parameter, low=0.0)
        elif fitted.hangs is not None:
            parameter = replace(parameter, note=note)
        else:
            parameter = replace(parameter, estimate=fitted.hang, low=0.0, source="not_identified", note=note)
        self.parameters.append(replace(parameter, path=path))

    def _fit_share(self, name: str) -> None:
        nodes = self.records.nodes
        sums = nodes.assign(is_class=nodes["class"].eq(name)).groupby("rollout")["is_class"].agg(["sum", "size"])
        share = float(sums["sum"].sum() / sums["size"].sum())
        shares = sums["sum"] / sums["size"]
        rest = (len(sums), len(nodes))
        self.parameters.append(
            Parameter(f"fleet.classes.{name}.share", share, float(shares.min()), float(shares.max()), *rest)
        )

    def _fit_requests(self, failures: Failures, bad: pd.Series[str]) -> None:
        level = self.confidence_level
        base = failures.chosen(~failures.frame["is_new"] | ~failures.frame["rollout"].isin(bad))
        if not base.frame.empty:
            note = _MIXED if self._is_mixed else ""
            self.parameters += fit_requests("fleet.requests_per_second", self.records, confidence_level=level)
            self.parameters += base.fit("fleet.error_rate", confidence_level=level, note=note)

    def _describe_connection(self) -> None:
        nodes = self.records.nodes
        late = nodes["heard_at_s"] > nodes["resolved_at_s"] + 1e-6
        n_late = int(late.sum())
        if n_late:
            rest = (len(self.records.rollouts), int(nodes["heard_at_s"].notna().sum()))
            note = f"{n_late:,} verdicts were reported late: nodes were offline, or reports take time"
            unknown = (math.nan, math.nan, math.nan)
            self.parameters.append(Parameter("fleet.connection", *unknown, *rest, source="not_identified", note=note))

    def _fit_releases(self, failures: Failures) -> None:
        rollouts = self.records.rollouts
        kinds = name_kinds(rollouts)
        self.parameters += fit_mix(rollouts, kinds, self.confidence_level)
        is_bad = rollouts["defective"].fillna(False).to_numpy(dtype=bool)
        for name in dict.fromkeys(kinds[is_bad]):
            self.parameters += fit_effects(
                name,
                kinds == name,
                self.attempts,
                failures,
                rollouts=rollouts,
                starts=self._find_base("fleet.start_failure"),
                errors=self._find_base("fleet.error_rate"),
                confidence_level=self.confidence_level,
            )

    def _find_base(self, path: str) -> Base:
        """Return the fleet's fraction without defects; if that is not on record, all failures may be due to the release."""
        ends = (path, f"{path}.beta.mean")
        parameter = next((each for each in self.parameters if each.path in ends), None)
        return (
            Base(0.0, 0.0, 1.0, is_known=False)
            if parameter is None
            else Base(parameter.estimate, parameter.low, parameter.high)
        )
