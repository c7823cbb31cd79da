"""`watch`: frames agree with the tables, screens fit, and time passes as requested."""

import math

import numpy as np
import pytest
from rich.cells import cell_len

from simdeploy import Scenario, simulate
from simdeploy.cli.watching.frame import Film
from simdeploy.cli.watching.player import Player, play
from simdeploy.cli.watching.view import KEYS, LETTERS, find_room, render
from simdeploy.engines.fleet_map import DOWN, SHOWN, FleetMap, choose, make_cells
from simdeploy.engines.schema import STATUSES
from simdeploy.plotting.style import STATUS_LOOKS
from simdeploy.units import NS_PER_S, short_duration

CHECK = {"deadline": "5m", "min_healthy_time": "30s", "max_error_rate": 0.2}
ROLLING = {"strategy": "rolling", "max_parallel": 8, "health_check": CHECK, "max_failed_nodes": 3}
CANARY = {**ROLLING, "strategy": "canary", "canary_count": 2, "auto_promote": True}
FLEET = {
    "nodes": 40,
    "zones": 4,
    "update_duration": {"exponential": {"mean": "30s"}},
    "rollback_duration": "20s",
    "requests_per_second": 10,
    "error_rate": 0.02,
    "start_failure": 0.08,
}
CRASHES = {"crash": {"up": {"exponential": {"mean": "6m"}}, "repair": "1m"}}


def roll(policy=ROLLING, *, replication=0, orchestrator="expanso", **fleet):
    """Simulate a rollout of a small fleet."""
    raw = {"name": "small", "fleet": {**FLEET, **fleet}, "orchestrator": orchestrator, "policies": {"p": policy}}
    return simulate(Scenario.from_dict(raw), replication=replication)


ROLLOUTS = {
    "stopped": {},
    "canaries": {"policy": CANARY, "replication": 1},
    "completed": {"start_failure": 0},
    "percent of resolved": {"orchestrator": {"preset": "expanso", "failed_percent_of": "resolved"}},
    "percent of the wave": {"orchestrator": {"preset": "expanso", "failed_percent_of": "wave"}},
    "shared": {"service": {"shared": {"capacity": 1.1}}, "start_failure": 0},
    "immediate": {"policy": {"strategy": "immediate"}},
}


def last(rows, time_s):
    """Return the row at an instant."""
    return rows[rows["time_s"] <= time_s].iloc[-1]


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ROLLOUTS)
def test_a_frame_agrees_with_the_tables(case):
    """At every instant counts, wave, state, counters, rates and load are those of timeline and revisions. [oracle]"""
    rollout = roll(**ROLLOUTS[case])
    film, nodes = Film(rollout), rollout.nodes
    update = rollout.revisions[rollout.revisions["deployment"].eq(rollout.policy.identity.id)]
    for time_s in [*film.steps_s[::2].tolist(), *(film.steps_s[1::4] + 1e-6).tolist()]:
        frame = film.frame(time_s, (10, 40))
        row, revision = last(rollout.timeline, time_s), last(update, time_s)
        assert frame.counts == {status: row[status] for status in STATUSES if row[status]}
        assert sum(len(cells) for _, cells in frame.cells) == 40
        assert frame.state.partition(",")[0] == revision["state"].replace("_", " ")
        assert frame.wave == revision["current_wave"]
        gauges = {gauge.name: gauge for gauge in frame.gauges}
        assert gauges["updated"].value == revision["updated_nodes"]
        assert gauges["in service"].value == row["in_service"]
        assert gauges["failed"].value == revision["failed_nodes"]
        assert gauges["errors"].value == pytest.approx(row["error_rate"], nan_ok=True)
        assert gauges["errors, new"].value == pytest.approx(row["error_rate_new"], nan_ok=True)
        assert ("load" in gauges) == (case == "shared")
        if case == "shared":
            assert gauges["load"].value == row["load"]
        if case == "percent of resolved":
            ended = revision["failed_nodes"] + revision["updated_nodes"]
            expected = revision["failed_nodes"] / ended if ended else math.nan
            assert gauges["failed/resolved"].value == pytest.approx(expected, nan_ok=True)
        if case == "percent of the wave":
            of_wave = nodes[nodes["wave"].eq(frame.wave).fillna(False)]
            assert gauges["failed of wave"].value == (of_wave["failed_at_s"] <= time_s).sum() / len(of_wave)


def test_limits_are_those_of_the_policy():
    """Numbers are shown with the policy's limits, and marked beyond them; immediate has none. [contract]"""
    stopped = Film(roll(policy={**ROLLING, "max_failed_nodes": 3, "max_failed_nodes_percent": 100}))
    assert stopped.rollout.response_values["state"] == "failed"
    gauges = {gauge.name: gauge for gauge in stopped.frame(stopped.end_s, (10, 40)).gauges}
    assert (gauges["failed"].value, gauges["failed"].limit, gauges["failed"].is_over) == (4, 3, True)
    assert (gauges["failed of fleet"].value, gauges["failed of fleet"].limit) == (0.1, 1)
    assert not gauges["failed of fleet"].is_over
    assert gauges["errors, new"].limit == 0.2
    third_s = stopped.rollout.events.query("to_status == 'failed' and node.notna()")["time_s"].iloc[2]
    at_limit = {gauge.name: gauge for gauge in stopped.frame(third_s, (10, 40)).gauges}["failed"]
    assert (at_limit.value, at_limit.is_over, at_limit._replace(stops_at=True).is_over) == (3, False, True)
    start = {gauge.name: gauge for gauge in stopped.frame(0.0, (10, 40)).gauges}
    assert (start["failed"].value, start["failed"].is_over) == (0, False)
    at_once = Film(roll(policy={"strategy": "immediate"}))
    limits = {gauge.name: gauge.limit for gauge in at_once.frame(0.0, (10, 40)).gauges}
    of_failed = {"failed": 10, "failed of fleet": 0.1}
    assert limits == {"updated": 40, "in service": 40, **of_failed, "errors": None, "errors, new": None}


def test_events_appear_when_they_happen():
    """A frame has the events up to its time, in order: waves, every failed node, and the rollback. [contract]"""
    film = Film(roll())
    events = film.frame(film.end_s, (10, 40)).events
    assert [line.time_s for line in events] == sorted(line.time_s for line in events)
    failed = film.rollout.events[film.rollout.events["to_status"].eq("failed") & film.rollout.events["node"].notna()]
    lines = [(line.time_s, line.text) for line in events]
    assert set(lines) >= {(row.time_s, f"node-{row.node} failed: {row.reason}") for row in failed.itertuples()}
    assert any("rollback finished" in text for _, text in lines)
    for time_s in film.steps_s.tolist():
        assert film.frame(time_s, (10, 40)).events == tuple(line for line in events if line.time_s <= time_s)


def test_nodes_show_their_status_or_that_they_are_down():
    """Each node shows its last status, or down if it is down but would serve, at any instant. [oracle]"""
    rollout = roll({**ROLLING, "max_failed_nodes": 30}, orchestrator="expanso-rollout", **CRASHES)
    events = rollout.events[rollout.events["node"].notna()]
    cells = make_cells(rollout.nodes, 100)
    times_s = np.unique([*rollout.timeline["time_s"], *(rollout.timeline["time_s"] + 0.5)])[:-1]
    times_s = times_s[times_s < rollout.timeline["time_s"].iloc[-1]]
    shown = choose(FleetMap(rollout).count(cells, times_s))
    shows_down = set()
    for time_s, at in zip(times_s.tolist(), shown, strict=True):
        down = set(rollout.down_spells.query("from_s <= @time_s < until_s")["node"])
        so_far = events[events["time_s"] <= time_s].drop_duplicates("node", keep="last")
        statuses = dict.fromkeys(range(40), "pending")
        statuses.update(zip(so_far["node"], so_far["to_status"], strict=True))
        for node, status in statuses.items():
            serves = status in ("pending", "validating", "running", "rolled_back", "skipped")
            expected = "down" if node in down and serves else status
            assert SHOWN[at[cells.cell_of[node]]] == expected
            shows_down |= {status} if expected == "down" else set()
    assert shows_down == {"pending", "validating", "running", "rolled_back"}


@pytest.mark.parametrize(("n_nodes", "most", "zones"), [(3000, 400, 1), (3000, 40, 7), (300, 1, 3), (30, 200, 2)])
def test_small_waves_keep_cells_of_their_own(n_nodes, most, zones):
    """Each node has one cell, zones have at most the requested number, and canaries share none with others. [property]"""
    policy = {**CANARY, "canary_count": 2 * zones, "max_parallel": 50}
    nodes = roll(policy, nodes=n_nodes, zones=zones, start_failure=0, requests_per_second=0).nodes
    cells = make_cells(nodes, most)
    assert np.bincount(cells.cell_of).tolist() == cells.n_nodes.tolist()
    assert np.bincount(cells.zone).max() <= max(most, 1)
    assert (cells.zone[cells.cell_of] == nodes["zone"]).all()
    if most > 1:
        of_canaries = set(cells.cell_of[nodes["canary"]])
        assert of_canaries
        assert not of_canaries & set(cells.cell_of[~nodes["canary"]])
    if n_nodes <= most:
        assert cells.n_nodes.max() == 1


def test_trouble_is_shown_first():
    """A cell with a failed node among many shows it; otherwise the most frequent status. [contract]"""
    counts = np.zeros((3, len(SHOWN)), int)
    counts[:, SHOWN.index("running")] = 9
    counts[:, SHOWN.index("starting")] = 5
    counts[1, DOWN] = 1
    counts[2, [SHOWN.index("failed"), DOWN]] = 1
    assert [SHOWN[cell] for cell in choose(counts)] == ["running", "down", "failed"]


# -- screens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60), (20, 5), (80, 3)])
@pytest.mark.parametrize("fleet", [{}, {"nodes": 5000, "zones": 30, **CRASHES}])
def test_a_screen_fits(size, fleet):
    """A screen has the lines and columns of its terminal, for any fleet, with keys in the last line. [contract]"""
    film = Film(roll({**CANARY, "max_parallel": 200} if fleet else CANARY, **fleet))
    for time_s in np.linspace(0, film.end_s, 7).tolist():
        lines = [line.plain for line in render(film.frame(time_s, find_room(*size)), *size, pace="playing", keys=KEYS)]
        assert len(lines) == size[1]
        assert max(map(len, lines)) <= size[0]
        assert lines[-1] == KEYS[: size[0]]
        assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("width", [120, 60, 46, 30])
@pytest.mark.parametrize("name", ["ロールアウト", "ロールアウト-カナリア-" * 3])
def test_wide_names_leave_room_for_the_clock(name, width):
    """The clock is complete at the end of its line, also after a name whose characters take two columns. [contract]"""
    raw = {"name": "日本語", "fleet": FLEET, "policies": {name: ROLLING}}
    film = Film(simulate(Scenario.from_dict(raw)))
    line = render(film.frame(film.end_s, find_room(width, 24)), width, 24)[0].plain
    clock = short_duration(film.end_s * NS_PER_S)
    assert line.endswith(f" {clock} of {clock}")
    assert cell_len(line) == width
    assert ("..." in line) == (cell_len(f"日本語 / {name}, replication 0 {clock} of {clock}") > width)


def test_a_screen_without_colour_is_complete():
    """At 80x24 letters distinguish statuses, and words name limits and the end. [contract]"""
    assert len(set(LETTERS.values())) == len(LETTERS) == len(SHOWN)
    assert set(LETTERS) == set(SHOWN) == set(STATUS_LOOKS)
    film = Film(roll(CANARY, replication=1, service={"shared": {"capacity": 1.02}}))
    busy = film.rollout.timeline.query("failed > 0 and load > 1")["time_s"].iloc[0]
    frame = film.frame(busy, find_room(80, 24))
    text = "\n".join(line.plain for line in render(frame, 80, 24))
    for name, cells in frame.cells:
        assert f"{name:<9}{''.join(LETTERS[cell] for cell in cells)}\n" in text
    for shown, n in frame.counts.items():
        assert f"{LETTERS[shown]} {shown.replace('_', ' ')} {n}" in text
    limits = ("limit 3", "limit 20 %", "of capacity, over")
    for words in ("small / p, replication 1", *limits, "wave", "failed: did not start"):
        assert words in text


# -- playing -----------------------------------------------------------------------------------------------------------


def test_time_passes_as_requested():
    """With a given clock and keys: speed, pause, steps to events, restart, and no jump after a stopped process. [contract]"""
    player = Player(64.0, np.array([0.0, 10.0, 20.0]))
    script = iter(
        [
            (0.25, [], 0.5),  # 2 s of the rollout per second
            (0.25, ["faster"], 1.0),  # from now on
            (0.25, [], 2.0),
            (0.25, ["pause"], 3.0),
            (9.0, [], 3.0),
            (0.1, ["next", "next"], 20.0),
            (0.1, ["next"], 64.0),
            (0.1, ["previous"], 20.0),
            (0.1, ["restart", "slower", "slower", "pause"], 0.0),
            (3600.0, [], 0.5),  # stopped meanwhile
            (0.1, ["what"], 0.6),
            (0.1, ["quit"], 0.7),
        ]
    )
    now, seen, expected = 0.0, [], []

    def read_keys(_timeout_s):
        nonlocal now
        elapsed_s, keys, time_s = next(script)
        now += elapsed_s
        expected.append(time_s)
        return keys

    play(player, lambda: seen.append(player.time_s), clock=lambda: now, read_keys=read_keys)
    assert [*seen[1:], player.time_s] == pytest.approx(expected)
    assert next(script, None) is None


def test_a_rollout_takes_half_a_minute():
    """Any rollout initially plays in about half a minute; one of no length is at its end. [contract]"""
    for end_s in (1.0, 600.0, 1e6):
        assert 20 <= end_s / Player(end_s, np.zeros(1)).speed <= 45
    assert Player(0.0, np.zeros(1)).pace.startswith("at the end")
