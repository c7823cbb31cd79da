"""The result of one simulated rollout."""

from __future__ import annotations

import json
import math
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.api.times import format_time, parse_time
from simdeploy.engines import frames
from simdeploy.engines.deployments import Recorded, make_deployment, recorded_deployments
from simdeploy.engines.one_recording import make_recorder
from simdeploy.engines.responses import compute_responses
from simdeploy.engines.service import Service
from simdeploy.errors import InputError, Problem, not_among, shorten
from simdeploy.output import write_file, write_table
from simdeploy.result import to_plain
from simdeploy.rules.health import judges_waves, read_health_rule, read_max_error_rate
from simdeploy.units import NS_PER_S, is_whole, short_duration
from simdeploy.vocabulary import RECORD_FORMS

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.api import Deployment
    from simdeploy.engines.recording import Recording
    from simdeploy.records import Records
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.scenario import Scenario, ScenarioPolicy

TABLES = ("events", "timeline", "nodes", "windows", "revisions")


class Rollout:
    """One replication of one policy: its events and responses.

    Made by :func:`simdeploy.simulate`; do not change it. Tables are made on first access.

    Attributes
    ----------
    scenario : Scenario
    policy : ScenarioPolicy
    seed, replication : int
    engine : str
    response_values : dict
        The responses as plain values; NaN where unknown.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "two nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> rollout = simdeploy.simulate(scenario)
    >>> rollout
    <Rollout: at-once: completed after 1m; 2 of 2 nodes updated, 0 failed (completed_good)>
    >>> rollout.nodes[["node", "status", "started_at_s"]]
       node   status  started_at_s
    0     0  running          60.0
    1     1  running          60.0
    """

    def __init__(
        self,
        scenario: Scenario,
        policy: ScenarioPolicy,
        *,
        seed: int,
        replication: int,
        engine: str,
        response_values: dict[str, Any] | None = None,
    ) -> None:
        self.scenario = scenario
        self.policy = policy
        self.seed = seed
        self.replication = replication
        self.engine = engine
        if response_values is None:
            response_values = compute_responses(self._recording, self._service)
        self.response_values = response_values

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the recording, which is large; it is made again when a table needs it."""
        return {name: value for name, value in vars(self).items() if name not in ("_recording", "_service")}

    @cached_property
    def _recording(self) -> Recording:
        return make_recorder(self.scenario, seed=self.seed, replication=self.replication)(self.policy)

    @cached_property
    def _service(self) -> Service:
        return Service(self._recording)

    @property
    def orchestrator(self) -> Orchestrator:
        """The switches under which the rollout was simulated."""
        return self.scenario.orchestrator_of(self.policy)

    @cached_property
    def responses(self) -> pd.Series:
        """Every response by name, as in `docs/model.md`; unknown is NaN."""
        import pandas as pd

        return pd.Series(self.response_values, name=self.policy.name, dtype=object)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Every change of a node's status and every act of the control plane (`node` missing), in order."""
        return frames.make_events(self._recording)

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """Nodes per status at every settled instant with a change, and at the horizon.

        With the nodes exposed and in service, requests and failed requests of the windows that ended then, and expectations
        for all nodes in service: requests per second, the load of a shared service, and the fraction that fails.
        """
        return frames.make_timeline(self._recording, self._service)

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """One row per node: zone, class, wave, status and times, and whether, when and why it ever failed."""
        return frames.make_nodes(self._recording, self._service, self._class_names)

    @cached_property
    def down_spells(self) -> pd.DataFrame:
        """When nodes were down because of crashes or outages: one row per spell, up to the end of the records."""
        return frames.make_down_spells(self._service)

    @cached_property
    def offline_spells(self) -> pd.DataFrame:
        """When nodes were offline: one row per spell, from the node's turn up to the end of the records."""
        return frames.make_offline_spells(self._recording, self._service.end_ns)

    @cached_property
    def windows(self) -> pd.DataFrame:
        """One row per health window, also of nodes that a gate compares with or watches."""
        policy = self.policy.policy
        limit = math.nan if judges_waves(policy) else float(read_max_error_rate(policy, self.orchestrator))
        return frames.make_windows(self._recording, self._class_names, limit)

    @cached_property
    def revisions(self) -> pd.DataFrame:
        """Every revision of the deployment's status, then those of its rollback if there was one; times in UTC."""
        return frames.make_revisions(self._deployments_recorded, self._start_ns)

    @property
    def _class_names(self) -> list[str]:
        return ["", *(node_class.name for node_class in self.scenario.fleet.classes)]

    @property
    def deployment(self) -> Deployment:
        """The deployment object as the API shows it at the end."""
        return self.deployments[0]

    @cached_property
    def deployments(self) -> tuple[Deployment, ...]:
        """The deployment, and its rollback if there was one, as the API shows them at the end."""
        return tuple(
            make_deployment(self.policy, recorded, len(recorded.history)) for recorded in self._deployments_recorded
        )

    def deployment_at(self, revision: int, *, rollback: bool = False) -> Deployment:
        """Return the deployment object as it was at a revision.

        Parameters
        ----------
        revision : int
            Counted from 1, as in `revisions`.
        rollback : bool, default False
            Whether to return the rollback, which is a separate deployment.

        Raises
        ------
        InputError
            If there is no such revision.

        Examples
        --------
        >>> import simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "two nodes",
        ...     "fleet": {"nodes": 2, "update_duration": "1m"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> rollout = simdeploy.simulate(scenario)
        >>> [rollout.deployment_at(revision).status.state for revision in (1, len(rollout.revisions))]
        ['in_progress', 'completed']
        """
        number = 1 if rollback else 0
        recorded = self._deployments_recorded
        known = len(recorded[number].history) if number < len(recorded) else 0
        if not is_whole(revision, 1, known):
            what = "rollback" if rollback else "deployment"
            raise InputError(f"no revision {shorten(revision)} of the {what}: it has {known}")
        return make_deployment(self.policy, recorded[number], revision)

    def write(self, folder: str | os.PathLike[str], *, form: str = "parquet") -> None:
        """Write all tables, and a description of the rollout, into a folder.

        The files are ``events``, ``timeline``, ``nodes``, ``windows`` and ``revisions``, and ``rollout.json`` with scenario,
        policy, seed, replication, responses, the final deployment objects, and what `read_records` needs (``record``). Existing
        files of these names are replaced.

        Parameters
        ----------
        folder : path-like
            Created if missing.
        form : {'parquet', 'csv'}

        Raises
        ------
        InputError
            If the form is unknown, or the folder is a file.
        OSError
            If the folder cannot be written to; a file that cannot be written is not left half-written.

        Examples
        --------
        >>> import pathlib, tempfile, simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "two nodes",
        ...     "fleet": {"nodes": 2, "update_duration": "1m"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     simdeploy.simulate(scenario).write(folder, form="csv")
        ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
        ['events.csv', 'nodes.csv', 'revisions.csv', 'rollout.json', 'timeline.csv', 'windows.csv']
        """
        if form not in RECORD_FORMS:
            raise InputError(not_among("unknown form of tables", ("form",), form, RECORD_FORMS))
        place = Path(folder)
        if place.exists() and not place.is_dir():
            raise InputError(Problem("not a folder", ("folder",), file=str(place)))
        place.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            write_table(getattr(self, name), place / f"{name}.{form}")
        content = json.dumps(self._describe(), indent=2, ensure_ascii=False)
        write_file(place / "rollout.json", lambda file: file.write(f"{content}\n".encode()))

    def to_records(self, name: str = "1", *, watched_until_s: float | None = None) -> Records:
        """Return the rollout in the form of records of real ones, for `calibrate` and `backtest`.

        Parameters
        ----------
        name : str, default "1"
            Identifies the rollout among others; its start is the deployment's `created_at`.
        watched_until_s : float, optional
            How far the record reaches, seconds after the start; by default until service is restored, or until the last event.

        Returns
        -------
        Records

        Examples
        --------
        >>> import simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "two nodes",
        ...     "fleet": {"nodes": 2, "update_duration": "1m"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> records = simdeploy.simulate(scenario).to_records("monday")
        >>> records.nodes[["rollout", "node", "status", "started_at_s"]]
          rollout    node   status  started_at_s
        0  monday  node-0  running          60.0
        1  monday  node-1  running          60.0
        """
        from simdeploy.records.simulated import Tables, make_records

        return make_records(name, self._facts(watched_until_s), Tables(self.nodes, self.windows, self.events))

    def _facts(self, watched_until_s: float | None = None) -> dict[str, Any]:
        """Return the row of `Records.rollouts`, as plain values with NaN for unknown times."""
        scenario, chosen, responses = self.scenario, self.policy, self.response_values
        kind = responses["release"] or None
        rule = read_health_rule(chosen.policy, self.orchestrator)
        return {
            "started_at": format_time(self._start_ns),
            "nodes": scenario.fleet.nodes,
            "type": chosen.identity.type,
            # With its switches, as in a scenario file.
            "policy": {
                "dialect": chosen.spec.dialect,
                **chosen.spec.to_dict(),
                "orchestrator": self.orchestrator.switches(),
            },
            "interval_s": rule.interval_ns / NS_PER_S,
            "deadline_s": rule.deadline_ns / NS_PER_S if rule.is_checked else None,
            "release": kind,
            "defective": next((each.defective for each in scenario.release if each.name == kind), None),
            "state": responses["state"],
            "ended_s": responses["makespan_s"],
            "watched_until_s": self._service.end_ns / NS_PER_S if watched_until_s is None else watched_until_s,
        }

    def _describe(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario.name,
            "policy": self.policy.name,
            "seed": self.seed,
            "replication": self.replication,
            "responses": to_plain(self.response_values),
            "record": to_plain(self._facts()),
            "deployments": [deployment.to_dict() for deployment in self.deployments],
        }

    def to_json(self) -> str:
        """Return the final deployment object as the body of the API's GET, in canonical form.

        Examples
        --------
        >>> import json, simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "two nodes",
        ...     "fleet": {"nodes": 2, "update_duration": "1m"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> json.loads(simdeploy.simulate(scenario).to_json())["deployment"]["status"]["state"]
        'completed'
        """
        return self.deployment.to_json()

    def to_openmetrics(self) -> str:
        """Return the metrics that monitoring would have recorded, as OpenMetrics text.

        Nodes by status, requests, errors, the deployment's counts and its limits, every 15 s, with timestamps.

        Examples
        --------
        >>> import simdeploy
        >>> scenario = simdeploy.Scenario.from_dict({
        ...     "name": "two nodes",
        ...     "fleet": {"nodes": 2, "update_duration": "1m"},
        ...     "policies": {"at-once": {"strategy": "immediate"}},
        ... })
        >>> print(simdeploy.simulate(scenario).to_openmetrics().partition(" 1767")[0])
        # HELP simdeploy_nodes Nodes by status.
        # TYPE simdeploy_nodes gauge
        simdeploy_nodes{policy="at-once",replication="0",status="pending"} 0
        """
        from simdeploy.engines.exposition import write_openmetrics

        lines = write_openmetrics(
            self.timeline,
            self.revisions,
            self.policy,
            self.orchestrator,
            n_nodes=self.scenario.fleet.nodes,
            replication=self.replication,
        )
        return "".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        table = self.responses.to_frame().to_html()
        return f"<p>{escape(self._headline)}</p>{table}"

    def __repr__(self) -> str:
        return f"<Rollout: {self._headline}>"

    @property
    def _headline(self) -> str:
        """A summary such as ``careful: completed after 34m 10s; 1000 of 1000 nodes updated, 0 failed (completed_good)``."""
        values = self.response_values
        makespan = values["makespan_s"]
        after = f" after {short_duration(makespan * NS_PER_S)}" if makespan == makespan else ""
        verdict = f" ({values['verdict']})" if isinstance(values["verdict"], str) else ""
        return (
            f"{self.policy.name}: {values['state']}{after}; "
            f"{values['updated_nodes']} of {self.scenario.fleet.nodes} nodes updated, "
            f"{values['failed_nodes']} failed{verdict}"
        )

    @cached_property
    def _start_ns(self) -> int:
        return parse_time(self.policy.identity.created_at)

    @cached_property
    def _deployments_recorded(self) -> list[Recorded]:
        recording = self._recording
        return recorded_deployments(self.policy, recording.update, recording.rollback, recording.canaries)
