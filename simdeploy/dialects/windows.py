"""Health windows of an imported policy, for orchestrators that look at nodes more often than a scenario does."""

from simdeploy.units import NS_PER_S, write_duration

# Windows are as long as possible, so that each has requests.
_LONGEST_NS = 10 * NS_PER_S
_MOST_TRIED = 1000


def choose_window(healthy_ns: int, shortest_ns: int) -> str:
    """Return the longest window up to 10 s of which a whole number makes up a time; within a nanosecond if there is none.

    Examples
    --------
    >>> [choose_window(seconds * NS_PER_S, NS_PER_S // 2) for seconds in (5, 15, 60, 61)]
    ['5s', '7.5s', '10s', '7.625s']
    """
    fewest = max(-(-healthy_ns // _LONGEST_NS), 1)
    most = min(healthy_ns // shortest_ns, fewest + _MOST_TRIED)
    number = next((number for number in range(fewest, most + 1) if healthy_ns % number == 0), fewest)
    return write_duration(max(-(-healthy_ns // number), shortest_ns))
