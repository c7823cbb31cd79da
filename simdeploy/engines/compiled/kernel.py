"""The one function that is compiled and cached: replications of many policies."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.control import run_rollout
from simdeploy.engines.compiled.integrals import measure
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.sampling import prepare, sample


@compiled
def run_replications(records, first, whole, real, n_done):
    """Run replications of all policies.

    Parameters
    ----------
    records : ndarray of RUN, shape (1,)
    first : int
        Replication.
    whole, real : ndarray, shape (policies, replications, responses)
        Outcomes.
    n_done : int
        Replications that are done already.

    Returns
    -------
    int
        Replications that are done now; fewer than asked for if there was not enough room.
    """
    run = records[0]
    prepare(run)
    for place in range(n_done, whole.shape[1]):
        run.replication = np.uint64(first + place)
        sample(run)
        for number in range(whole.shape[0]):
            run.policy = number
            run_rollout(run)
            if not measure(run, whole[number, place], real[number, place]):
                return place
    return whole.shape[1]
