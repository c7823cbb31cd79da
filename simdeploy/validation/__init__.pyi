from . import oracles as oracles
from .verification import Verification as Verification, verify as verify
