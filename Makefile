# The two commands of the README, and what contributors use beside them.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SCENARIO = scenarios/small-fleet.yaml
# Which tests, and further options of pytest.
TESTS ?=

.PHONY: demo test check check-lowest docs linkcheck constraints release fuzz bench conformance clean

demo: $(VENV)/.installed
	$(BIN)/simdeploy compare $(SCENARIO) --replications 400 --plot comparison.png

test: $(VENV)/.tested
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=15 $(TESTS)

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests with the lowest versions that pyproject.toml allows, which use what newer libraries call deprecated.
LOWEST = $(VENV)-lowest
check-lowest:
	mkdir -p $(LOWEST)
	$(PYTHON) tests/lowest.py > $(LOWEST)/constraints.txt
	PIP_CONSTRAINT=$(LOWEST)/constraints.txt PYTEST_ADDOPTS="-W ignore::DeprecationWarning" $(MAKE) test VENV=$(LOWEST)

# The documentation as a site, in build/site/html.
SITE = $(BIN)/python -m sphinx --quiet --fail-on-warning --jobs auto -c docs/website -d build/site/doctrees build/site/source
docs: $(VENV)/.documented
	mkdir -p build/site/source
	$(SITE) build/site/html

# Whether links to other sites still lead somewhere.
linkcheck: $(VENV)/.documented
	mkdir -p build/site/source
	$(SITE) -b linkcheck build/site/links

# The versions that are installed, as constraints for others: after the tests have passed.
constraints: $(VENV)/.tested
	echo "# Versions with which the tests last passed; 'make constraints' writes this file." > constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$$' >> constraints.txt

# The tag of the version, which has to have its date in CHANGELOG.md, on the commit that is checked out.
release: $(VENV)/.tested
	$(BIN)/python -m pytest -n 0 -q tests/test_packaging.py
	git diff --quiet HEAD
	version=$$($(BIN)/hatchling version) && grep "^## \[$$version\] - 20" CHANGELOG.md && git tag -a "v$$version" -m "simdeploy $$version"

# CASES mutated files and stores of each kind, new ones each time unless FIRST says which number is the first.
CASES ?= 2000
FIRST ?= $(shell date +%s)000000
fuzz: $(VENV)/.tested
	HYPOTHESIS_PROFILE=fuzz FUZZ_CASES=$(CASES) FUZZ_FIRST=$(FIRST) $(BIN)/python -m pytest -n auto \
		tests/test_fuzzing.py tests/dialects/test_broken_files.py tests/test_properties.py tests/test_engines_equal.py tests/test_malformed.py tests/test_openapi.py

# Measured figures go to docs/performance.md with BENCH="benchmarks --write-page"; a part of the benchmarks replaces its rows there.
BENCH ?= benchmarks
bench: $(VENV)/.tested
	$(BIN)/python -m pytest $(BENCH) --benchmark-only -p no:xdist

# Real Docker Swarm, as root: Debian's packages are unpacked, not installed. Some minutes.
RECORDINGS ?= tests/conformance/recordings
conformance: $(VENV)/.tested
	$(BIN)/python tests/conformance/record_swarm.py $(RECORDINGS)
	RECORDINGS=$(RECORDINGS) $(BIN)/python -m pytest -n 0 tests/conformance/test_swarm_recordings.py

clean:
	rm -rf $(VENV) $(LOWEST)

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[fast]'
	touch $@

$(VENV)/.tested: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $(VENV)/.installed $@

$(VENV)/.documented: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $(VENV)/.installed $@
