"""Both engines keep the contract of every engine."""

import pytest
from engine_contract import EngineContract

# Some of the scenarios are suspicious on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")


class TestReferenceEngine(EngineContract):
    engine = "reference"


class TestCompiledEngine(EngineContract):
    engine = "compiled"
