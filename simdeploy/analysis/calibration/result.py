"""The result of `calibrate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from simdeploy.errors import InputError, Problem, raise_if_any
from simdeploy.records import Records
from simdeploy.result import INTERVAL, Columns, Result, floats

if TYPE_CHECKING:
    import os

    import pandas as pd

    from simdeploy.experiments.arguments import Progress
    from simdeploy.experiments.jobs import Executor
    from simdeploy.scenario import Scenario

# Estimated; not in the records, so chosen; in the records, but indistinguishable from something else.
Source = Literal["fitted", "assumed", "not_identified"]
SOURCES: tuple[str, ...] = get_args(Source)

PARAMETERS = {
    "path": "str",
    **INTERVAL,
    "n_rollouts": "int64",
    "n_nodes": "int64",
    "source": "str",
    "note": "str",
}
FITS = {"path": "str", "family": "str", **floats("aic", "difference", "ks", "p"), "chosen": "bool"}
POINTS = {"path": "str", **floats("value", "expected")}
DROPPED = {"file": "str", "line": "Int64", "rows": "int64", "reason": "str"}


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Result):
    """Result of `calibrate`.

    Attributes
    ----------
    parameters : DataFrame
        One row per parameter of the scenario, by its `path`: `estimate`, limits `low` and `high`, the numbers of rollouts and nodes that
        they rest on (`n_rollouts`, `n_nodes`), the `source` (fitted, assumed or not_identified), and a `note`. Times are in seconds. For
        what is not identified, the limits are those of the possible range; for what is counted (nodes, zones, start attempts, shares
        of classes), they are the least and the largest on record.
    fits : DataFrame
        One row per duration and family: `aic` and its `difference` to the lowest, the Kolmogorov-Smirnov distance `ks` to the censored
        data with the `p`-value of a parametric bootstrap (for the best family), and whether it was `chosen`.
    points : DataFrame
        Points of probability plots: durations divided by the slowdowns of their rollouts (`value`), and the quantiles `expected` by the
        chosen family.
    dropped : DataFrame
        What was not used, and why: `file`, `line`, number of `rows`, `reason`.
    n_rollouts, n_nodes : int
        Rollouts on record, and nodes that they dispatched.
    confidence_level : float
        Of each interval separately.
    text : str
        The scenario, in YAML.
    computed_under : dict
        Arguments and settings of the fit.
    """

    parameters: Annotated[pd.DataFrame, Columns(PARAMETERS, words={"source": Source})]
    fits: Annotated[pd.DataFrame, Columns(FITS)]
    points: Annotated[pd.DataFrame, Columns(POINTS)]
    dropped: Annotated[pd.DataFrame, Columns(DROPPED)]
    n_rollouts: int
    n_nodes: int
    confidence_level: float
    text: str
    computed_under: Mapping[str, Any]
    _records: Records | None
    _write_again: Callable[[Records, bool], str] | None  # the scenario of other records, perhaps with intervals

    @property
    def scenario(self) -> Scenario:
        """The scenario that `to_yaml` writes."""
        from simdeploy.scenario import Scenario
        from simdeploy.scenario.yaml_text import parse_yaml

        return Scenario.from_dict(parse_yaml(self.text)[0])

    def to_yaml(self) -> str:
        r"""Return the scenario as a commented file: each number with its interval and the records it rests on, and what is assumed.

        Examples
        --------
        >>> import simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "ten nodes",
        ...     "fleet": {"nodes": 10, "update_duration": {"exponential": {"mean": "1m"}}},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> rollouts = [simdeploy.simulate(scenario, replication=number).to_records(str(number)) for number in range(20)]
        >>> calibration = simdeploy.calibrate(simdeploy.Records.join(rollouts), goodness_samples=0)
        >>> print(*calibration.to_yaml().splitlines()[6:8], sep="\n")
          # fitted: 10; 20 rollouts, 200 nodes
          nodes: 10
        """
        return self.text

    @property
    def records(self) -> Records:
        """The records that were fitted.

        Raises
        ------
        InputError
            If the result was read from a document, which doesn't contain them.
        """
        if self._records is None:
            raise InputError(Problem("a result read from a document has no records", ("records",)))
        return self._records

    def bootstrap(
        self,
        n: int = 200,
        *,
        seed: int = 0,
        executor: Executor | None = None,
        workers: int = 1,
        cluster: str | None = None,
        store: str | os.PathLike[str] | None = None,
        progress: bool | Progress = False,
    ) -> tuple[Scenario, ...]:
        """Fit alternative histories, families included, to show what the records leave open.

        Parameters
        ----------
        n : int, default 200
            Number of scenarios.
        seed : int, default 0
        executor, workers, cluster
            Where to fit, as for `sweep`; results don't depend on it.
        store : path, optional
            Folder for a file per scenario; the same call resumes from it.
        progress : bool or callable
            As for `replicate`, in scenarios.

        Returns
        -------
        tuple of Scenario

        Raises
        ------
        InputError
            If the result was read from a document, or if the folder contains other fits.
        SimulationError
            If a worker process dies again and again on the same fit.

        Notes
        -----
        Each history has the same number of whole rollouts, drawn with replacement. Nodes are not drawn separately, because that would count
        their noise twice, and their failures would no longer match the stops of their rollouts. With fewer than 20 rollouts too few samples
        differ, so the fitted scenario is simulated under the rollouts' policies instead.

        Examples
        --------
        >>> import simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "ten nodes",
        ...     "fleet": {"nodes": 10, "update_duration": {"exponential": {"mean": "1m"}}},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> rollouts = [simdeploy.simulate(scenario, replication=number).to_records(str(number)) for number in range(20)]
        >>> calibration = simdeploy.calibrate(simdeploy.Records.join(rollouts), goodness_samples=0)
        >>> [list(scenario.to_dict()["fleet"]["update_duration"]) for scenario in calibration.bootstrap(2)]
        [['exponential'], ['exponential']]
        """
        from simdeploy.analysis.calibration.bootstrapping import Fits, bootstrap
        from simdeploy.analysis.calibration.resampling import FEWEST_TO_DRAW
        from simdeploy.experiments.arguments import MOST_SEED, as_reporter, whole_problems
        from simdeploy.experiments.executors import choose_executor

        records, write_again = self.records, self._write_again
        assert write_again is not None  # noqa: S101 - a result has both or neither
        raise_if_any([*whole_problems(1, n=n), *whole_problems(0, MOST_SEED, seed=seed)])
        where = choose_executor(executor=executor, workers=workers, cluster=cluster, engine="reference")
        folder = None if store is None else Path(store)
        fitted = self.scenario if len(records.rollouts) < FEWEST_TO_DRAW else None
        # Comments are needed only in files.
        fits = Fits(records, fitted, write_again, int(seed), with_comments=folder is not None)
        return bootstrap(fits, int(n), text=self.text, executor=where, folder=folder, report=as_reporter(progress))
