"""Answers of Prometheus to range queries."""

T0 = 1_772_438_400  # 2026-03-02T08:00:00Z


def answer(*series):
    """Return the body of a response."""
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}}


def series(values, start=T0, step=60, **labels):
    """Return a series with a value each step."""
    return {"metric": labels, "values": [[start + number * step, value] for number, value in enumerate(values)]}
