"""Plays in which some local hosts fail, run alike by real Ansible, its recordings and the simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True)
class Play:
    """A play and the hosts that fail in it."""

    n_hosts: int
    keywords: Mapping[str, Any]  # the play's keywords on how to update
    fails_update: Sequence[int] = ()  # hosts on which the first task fails
    fails_check: Sequence[int] = ()  # hosts on which the second one fails
    unreachable: Sequence[int] = ()
    # hosts with a failing task that is ignored or rescued
    harmless: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def playbook(self) -> str:
        """The text of the playbook."""
        tasks: list[dict[str, Any]] = [_make_task("update")]
        if "ignored" in self.harmless:
            tasks.append({**_make_task("ignored"), "ignore_errors": True})
        if "rescued" in self.harmless:
            tasks.append({"block": [_make_task("rescued")], "rescue": [{"name": "rescue", "raw": "true"}]})
        if self.fails_check:
            tasks.append(_make_task("check"))
        play = {"name": "rollout", "hosts": "fleet", "gather_facts": False, **self.keywords, "tasks": tasks}
        return yaml.safe_dump([play], sort_keys=False)

    @property
    def inventory(self) -> str:
        """The text of the inventory; it says which hosts fail."""
        connections = ["nowhere" if number in self.unreachable else "local" for number in range(self.n_hosts)]
        hosts = {name_host(number): {"ansible_connection": how} for number, how in enumerate(connections)}
        failing = {"update": self.fails_update, "check": self.fails_check, "ignored": (), "rescued": ()}
        failing |= self.harmless
        named = {f"on_{task}": [name_host(number) for number in numbers] for task, numbers in failing.items()}
        return yaml.safe_dump({"fleet": {"hosts": hosts, "vars": {"failing": named}}}, sort_keys=False)


def _make_task(name: str) -> dict[str, Any]:
    return {"name": name, "raw": f"{{{{ 'exit 1' if inventory_hostname in failing.on_{name} else 'true' }}}}"}


def name_host(number: int) -> str:
    """Return the name of a host; names sort like numbers."""
    return f"host{number:02}"


ONE_EACH = (2, 7, 12, 17)
TENTH = {"serial": 10, "max_fail_percentage": 10}
PLAYS = {
    "a failure below the limit": Play(20, {"serial": 5, "max_fail_percentage": 30}, [0]),
    "failures above the limit": Play(20, {"serial": 5, "max_fail_percentage": 30}, [0, 1]),
    "a failure at the limit": Play(20, TENTH, [2]),
    "a limit just missed": Play(20, {"serial": 10, "max_fail_percentage": 9.99}, [2]),
    "no failure allowed": Play(20, {"serial": 10, "max_fail_percentage": 0}, [13]),
    "batches don't add up": Play(20, {"serial": 5, "max_fail_percentage": 20}, ONE_EACH),
    "tasks add up": Play(20, TENTH, [1], [5]),
    "ignored and rescued": Play(20, TENTH, [0], harmless={"ignored": [1, 2], "rescued": [3]}),
    "unreachable": Play(20, {"serial": 10, "max_fail_percentage": 0}, unreachable=[4]),
    "unreachable and failed at the limit": Play(20, TENTH, [1], unreachable=[4]),
    "unreachable and failed above it": Play(20, TENTH, fails_check=[1, 2, 3], unreachable=[4]),
    "a batch that fails as a whole": Play(20, {"serial": 4}, [4, 5, 6, 7]),
    "a batch that fails as a whole at 100": Play(20, {"serial": 4, "max_fail_percentage": 100}, [4, 5, 6, 7]),
    "without limits": Play(20, {"serial": 4}, [4, 5, 6]),
    "without batches": Play(20, {"max_fail_percentage": 10}, [3, 9]),
    "any error is fatal": Play(20, {"serial": 5, "max_fail_percentage": 100, "any_errors_fatal": True}, [6]),
    "an unreachable host is not fatal": Play(20, {"serial": 5, "any_errors_fatal": True}, unreachable=[6]),
    "an unreachable batch": Play(20, {"serial": 5, "max_fail_percentage": 100}, unreachable=[5, 6, 7, 8, 9]),
    "an unreachable batch below a limit": Play(20, {"serial": 5, "max_fail_percentage": 50}, unreachable=range(5, 10)),
    "an unreachable host without limits": Play(20, {"serial": 5}, unreachable=[5]),
    "a batch that fails or is unreachable": Play(20, {"serial": 5}, [5, 6, 7, 8], unreachable=[9]),
    "a template that says false": Play(20, {"serial": 5, "any_errors_fatal": "{{ false }}"}, [6]),
    "a list": Play(40, {"serial": [1, "10%", "30%", "100%"]}, [2]),
    "a list whose last entry repeats": Play(20, {"serial": [1, 3]}),
    "a list that ends with all": Play(20, {"serial": [1, "20%", -1]}),
    "a percent cut to hosts": Play(40, {"serial": "33%"}),
    "a percent of less than a host": Play(20, {"serial": "4%"}),
    "a percent in floating point": Play(50, {"serial": "58%"}),
    "a batch of 0": Play(20, {"serial": 0}),
    "hosts that go by themselves": Play(20, {"serial": 10, "strategy": "free", "max_fail_percentage": 10}, [1, 2, 3]),
}
# Ansible compares the number of failed and unreachable hosts with the size of the batch. A host that is found unreachable by the very
# task that ends the batch is in both, so that there are more than the batch has hosts, and the play goes on.
DIFFERENCES = {
    "above the limit beside an unreachable host": Play(20, TENTH, [1, 2, 3], unreachable=[4]),
    "a fatal error beside an unreachable host": Play(20, {"serial": 5, "any_errors_fatal": True}, [5], unreachable=[6]),
}
