"""Analyses of replications: a package for each question, whose main file has the public function.

A call takes values (a scenario to simulate, or a table of replications) and returns a frozen result with verdicts as
columns. `simdeploy.report` puts results into words, `simdeploy.plotting` into pictures; `simdeploy.statistics` has
arithmetic independent of rollouts, `asking` what all questions share: measures, requirements, directions.

From outside: the names that `__init__.pyi` lists, imported on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
