"""Analyses of replications: a package for each question, whose main file has the public function.

Each function takes values (a scenario to simulate, or a table of replications) and returns a frozen result whose
columns include the verdicts. `simdeploy.report` describes results in words, `simdeploy.plotting` draws them.
`simdeploy.statistics` has the arithmetic that knows nothing of rollouts; `asking` has what all questions share:
measures, requirements and directions.

Other packages use the names that `__init__.pyi` lists, imported on first use; reports and pictures also use the
packages' `result` modules, and what their docstrings name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
