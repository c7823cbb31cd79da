"""`simdeploy.explore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.errors import raise_if_any
from simdeploy.experiments.arguments import read_seed
from simdeploy.explorer.preparing import make_explorer
from simdeploy.scenario import PolicyLike, ScenarioOrPath, as_scenario
from simdeploy.statistics.levels import level_problems
from simdeploy.web.serving import require_packages

if TYPE_CHECKING:
    from simdeploy.explorer.widget import ExplorerWidget


def explore(
    scenario: ScenarioOrPath,
    policy: PolicyLike | None = None,
    *,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
) -> ExplorerWidget:
    """Return a widget with sliders for a policy's settings and the scenario's assumptions, and the estimated effects.

    ``simdeploy explore`` shows the same in a browser.

    Parameters
    ----------
    scenario : Scenario
    policy : str, path, mapping, spec or document, optional
        The policy to start with, as for `Scenario.policy`. The scenario's first policy by default.
    confidence_level : float, default 0.95
        Confidence level of each interval; of a curve, of all its points together.
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}

    Returns
    -------
    anywidget.AnyWidget
        Its `position` is that of the sliders: the policy's name, and changed values by key. Setting it moves the sliders.

    Raises
    ------
    InputError
        Lists everything invalid, or missing packages of the extra `explore`.

    Notes
    -----
    First estimates have up to 100 rollouts, to keep up with the sliders; while these rest, 1,000 and 4,000 follow.
    ``simdeploy compare`` with as many replications has the same rollouts and intervals.

    Examples
    --------
    >>> import simdeploy
    >>> widget = simdeploy.explore(simdeploy.load_example("small-fleet"), "rolling")
    >>> widget.position
    {'policy': 'rolling', 'values': {}}
    """
    require_packages("explore", "anywidget")
    from simdeploy.explorer.widget import ExplorerWidget

    scenario = as_scenario(scenario)
    seed = read_seed(seed, engine)
    raise_if_any(level_problems(confidence_level))
    first = scenario.policy(policy)
    policies = {first.name: first, **scenario.policies}
    policies[first.name] = first
    return ExplorerWidget(
        make_explorer(scenario, policies, seed=seed, confidence_level=confidence_level, engine=engine)
    )
