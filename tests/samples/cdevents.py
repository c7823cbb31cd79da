"""A year of CDEvents, as the specification 0.5 writes them."""


def event(kind, timestamp, artifact="v1", *, service="checkout", environment="prod", links=(), number=None):
    """Return an event as the specification 0.5 writes it."""
    content = {"environment": {"id": environment, "source": "/iaas/geo1"}}
    if artifact:
        content["artifactId"] = f"pkg:oci/{service}@sha256%3A{artifact}"
    subject = {"id": service, "source": "/cluster/a", "content": content}
    if kind.startswith("incident"):
        subject = {
            "id": "incident-1",
            "source": "/monitoring/a",
            "content": {**content, "description": "latency", "service": {"id": service}},
        }
    return {
        "context": {
            "specversion": "0.5.0",
            "id": number or f"{kind}-{timestamp}",
            "source": "/cluster/a",
            "type": f"dev.cdevents.{kind}.0.3.0",
            "timestamp": timestamp,
            "links": list(links),
        },
        "subject": subject,
    }


YEAR = [
    event("service.deployed", "2026-03-01T10:00:00Z", "v1"),
    event("service.upgraded", "2026-03-02T10:00:00Z", "v2"),
    event("incident.detected", "2026-03-02T11:00:00.5Z", "v2"),
    event("service.rolledback", "2026-03-02T12:00:00Z", "v1"),
    event("service.upgraded", "2026-03-03T10:00:00Z", "v3"),
    event("service.upgraded", "2026-03-03T10:00:00Z", "v3", environment="test"),
    event("service.rolledback", "2026-03-03T10:30:00Z", "v2", environment="test"),
    event("incident.detected", "2026-03-03T11:00:00Z", None),
    event("service.published", "2026-03-03T11:30:00Z"),
    event("service.removed", "2026-03-03T12:00:00Z", service="other"),
]
