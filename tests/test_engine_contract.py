"""Both engines keep the contract of every engine."""

from engine_contract import EngineContract

# Some of the scenarios are suspicious on purpose.


class TestReferenceEngine(EngineContract):
    engine = "reference"


class TestCompiledEngine(EngineContract):
    engine = "compiled"
