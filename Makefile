# The two commands of the README, and what contributors use beside them.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SCENARIO = scenarios/small-fleet.yaml

# Tests start hundreds of commands, which need not translate their modules each time.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test check fuzz bench conformance clean

demo: $(VENV)/.installed
	$(BIN)/simdeploy compare $(SCENARIO) --replications 400 --plot comparison.png

test: $(VENV)/.tested
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=15

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# CASES mutated files and stores of each kind, new ones each time unless FIRST says which number is the first.
CASES ?= 2000
FIRST ?= $(shell date +%s)000000
fuzz: $(VENV)/.tested
	HYPOTHESIS_PROFILE=fuzz FUZZ_CASES=$(CASES) FUZZ_FIRST=$(FIRST) $(BIN)/python -m pytest -n auto \
		tests/test_fuzzing.py tests/test_properties.py tests/test_engines_equal.py tests/test_malformed.py tests/test_openapi.py

bench: $(VENV)/.tested
	$(BIN)/python -m pytest benchmarks --benchmark-only -p no:xdist

# Real Docker Swarm, as root: Debian's packages are unpacked, not installed. Some minutes.
RECORDINGS ?= tests/conformance/recordings
conformance: $(VENV)/.tested
	$(BIN)/python tests/conformance/record_swarm.py $(RECORDINGS)
	RECORDINGS=$(RECORDINGS) $(BIN)/python -m pytest -n 0 tests/conformance/test_swarm_recordings.py

clean:
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.tested: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $(VENV)/.installed $@
