"""Allocations and a deployment of Nomad, as its API writes them."""

S = 1_000_000_000
T0 = 1_772_438_400 * S  # 2026-03-02T08:00:00Z


def at(second):
    """Return an RFC 3339 time; Go's zero time for None."""
    return "0001-01-01T00:00:00Z" if second is None else f"2026-03-02T08:{second // 60:02}:{second % 60:02}Z"


def task(started=None, *, restarts=0, last_restart=None, state="running", failed=False, killing=None, finished=None):
    """Return the state of a task."""
    events = [
        {"Type": "Received", "Time": T0, "Message": "", "DisplayMessage": "Task received by client", "Details": {}}
    ]
    if started is not None:
        events.append(
            {"Type": "Started", "Time": T0 + started * S, "DisplayMessage": "Task started by client", "Details": {}}
        )
    if killing is not None:
        events.append({"Type": "Killing", "Time": T0 + killing * S, "DisplayMessage": "Sent interrupt", "Details": {}})
    return {
        "State": state,
        "Failed": failed,
        "Restarts": restarts,
        "LastRestart": at(last_restart),
        "StartedAt": at(started),
        "FinishedAt": at(finished),
        "Events": events,
    }


def allocation(
    number, created, tasks, *, healthy=None, resolved=None, client="running", desired="run", modified=600, **more
):
    """Return an allocation as a list of them has it."""
    health = (
        None if healthy is None else {"Healthy": healthy, "Timestamp": at(resolved), "Canary": False, "ModifyIndex": 9}
    )
    return {
        "ID": f"00000000-{number:04}-{created:04}",
        "Name": f"web.front[{number}]",
        "Namespace": "default",
        "NodeID": f"node-id-{number}",
        "NodeName": f"host-{number}",
        "JobID": "web",
        "JobVersion": 7,
        "TaskGroup": "front",
        "DesiredStatus": desired,
        "ClientStatus": client,
        "DeploymentStatus": health,
        "TaskStates": tasks,
        "CreateIndex": 50 + number,
        "ModifyIndex": 90,
        "CreateTime": T0 + created * S,
        "ModifyTime": T0 + modified * S,
        **more,
    }


def deployment(status="failed", **more):
    """Return the deployment."""
    group = {
        "AutoRevert": True,
        "DesiredCanaries": 0,
        "DesiredTotal": 8,
        "HealthyAllocs": 2,
        "PlacedAllocs": 7,
        "UnhealthyAllocs": 2,
    }
    return {
        "ID": "dep-1",
        "JobID": "web",
        "JobVersion": 7,
        "Status": status,
        "StatusDescription": "Failed due to unhealthy allocations",
        "TaskGroups": {"front": group},
        "CreateIndex": 40,
        "ModifyIndex": 99,
        "CreateTime": T0 - 5 * S,
        "ModifyTime": T0 + 700 * S,
        **more,
    }


ALLOCATIONS = [
    allocation(0, 0, {"app": task(20), "log": task(25)}, healthy=True, resolved=60),
    allocation(1, 0, {"app": task(50, restarts=2, last_restart=45)}, healthy=True, resolved=90),
    allocation(2, 60, {"app": task(80)}, healthy=False, resolved=360),
    allocation(
        3, 60, {"app": task(None, state="dead", failed=True, restarts=3)}, healthy=False, resolved=120, client="failed"
    ),
    allocation(4, 90, {"app": task(None, state="pending")}, healthy=False, resolved=390, client="pending"),
    allocation(5, 120, {"app": task(130, killing=395)}, desired="stop", client="complete"),
    allocation(6, 0, {"app": task(None, state="dead", failed=True)}, healthy=None, client="failed", modified=100),
    allocation(6, 130, {"app": task(150)}, healthy=True, resolved=200),
    allocation(7, 130, None, client="pending"),
    allocation(8, 0, {"app": task(20, restarts=1, last_restart=300)}, healthy=True, resolved=60),
]
