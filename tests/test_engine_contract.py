"""Both engines keep the contract of every engine."""

from engine_contract import EngineContract


class TestReferenceEngine(EngineContract):
    engine = "reference"


class TestCompiledEngine(EngineContract):
    engine = "compiled"
