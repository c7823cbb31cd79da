from . import oracles as oracles
from .verification import Verification as Verification
from .verification import verify as verify
