"""Which engine runs: by name, or whichever is done sooner."""

from __future__ import annotations

from importlib.util import find_spec

from simdeploy.engines.room import has_address_space
from simdeploy.errors import InputError, Problem, nearest, shorten

ENGINES = ("auto", "compiled", "reference")

# What a node's update takes, roughly, on any machine of these years; and what the compiled engine needs before its first
# rollout.
_S_PER_NODE = {"reference": 5e-5, "compiled": 1e-7}
_LOADING_S = 4.0
_COMPILING_S = 60.0


def check_engine(engine: object) -> None:
    """Refuse a name that is none of `ENGINES`.

    Raises
    ------
    InputError
        With the nearest name.
    """
    if engine not in ENGINES:
        hint = nearest(engine, ENGINES)
        raise InputError(
            Problem("unknown engine", ("engine",), found=shorten(engine), allowed=", ".join(ENGINES), hint=hint)
        )


def choose_engine(engine: str, *, node_updates: int) -> str:
    """Return the engine that is meant: ``auto`` is the compiled one where loading or compiling it pays.

    Parameters
    ----------
    engine : {'auto', 'compiled', 'reference'}
    node_updates : int
        Size of the whole job: rollouts times nodes.

    Returns
    -------
    {'compiled', 'reference'}

    Notes
    -----
    The engines give the same numbers, so that this is a question of time only: small jobs are done before the compiled
    engine is loaded, and middling ones before it is compiled, where that was not done before on this machine.

    Examples
    --------
    >>> choose_engine("auto", node_updates=100)
    'reference'
    """
    check_engine(engine)
    if engine != "auto":
        return engine
    expected_s = expect_seconds("reference", node_updates)
    if expected_s < _LOADING_S or find_spec("numba") is None or not has_address_space():
        return "reference"
    if expected_s < _COMPILING_S:
        from simdeploy.engines.compiled.kernel import is_ready

        return "compiled" if is_ready() else "reference"
    return "compiled"


def expect_seconds(engine: str, node_updates: float) -> float:
    """Return how long an engine takes, roughly: good enough to choose sizes by, and the same on every machine.

    Examples
    --------
    >>> expect_seconds("reference", 20_000)
    1.0
    """
    return node_updates * _S_PER_NODE[engine]
