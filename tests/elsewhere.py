"""An executor that treats work as processes do, without starting any."""

import itertools
import pickle

from simdeploy.experiments.executors.processes import halve
from simdeploy.experiments.jobs import Span


def send(thing):
    """Return what arrives in another process."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301


class Elsewhere:
    """Pickles jobs and results, and returns results in another order; with `halves`, spans are run in halves as after a worker's death."""

    def __init__(self, *, halves: bool = False) -> None:
        self.halves = halves
        self.spans: list[Span] = []

    def run(self, job, spans):
        """Yield each span with its result."""
        job = send(job)
        while some := list(itertools.islice(spans, 3)):
            self.spans += some
            yield from reversed([(span, self._run(job, span)) for span in some])

    def _run(self, job, span):
        if not self.halves or span.n_policies * span.n_replications == 1:
            return send(job.run(send(span)))
        return job.join(span, [(half, self._run(job, half)) for half in reversed(halve(span))])
