"""One rollout as a result: its responses, and its course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.result import Result, Row
from simdeploy.vocabulary import RESPONSES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class OneRollout(Result):
    """One rollout, as ``simdeploy run`` writes it.

    Attributes
    ----------
    responses : mapping
        By name.
    deployment : mapping
        The final deployment object of the API.
    story : tuple of mapping
        Events, with `text` and time in seconds, `time_s`.
    computed_under : mapping
        Scenario, policy, seed, replication, engine and switches.
    """

    responses: Annotated[Mapping[str, Any], Row(RESPONSES)]
    deployment: Mapping[str, Any]
    story: tuple[Mapping[str, str | float], ...]
    computed_under: Mapping[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Return the responses as a table of one row."""
        import pandas as pd

        return pd.DataFrame([self.responses]).astype(RESPONSES)
