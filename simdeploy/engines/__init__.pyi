from .one_rollout import OneRollout as OneRollout
from .rollout import Rollout as Rollout
from .simulation import simulate as simulate
