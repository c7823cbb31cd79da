from . import oracles as oracles
from .decisions import Decisions as Decisions, verify_decisions as verify_decisions
from .verification import Verification as Verification, verify as verify
