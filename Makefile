# The two commands of the README, and commands for contributors.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SCENARIO = scenarios/small-fleet.yaml
# Selected tests, and further options of pytest.
TESTS ?=

.PHONY: demo test check check-lowest docs linkcheck constraints release fuzz bench conformance clean

demo: $(VENV)/.installed
	$(BIN)/simdeploy compare $(SCENARIO) --replications 400 --plot comparison.png

# Large memory pages, where glibc offers them, make the tests faster.
test: export GLIBC_TUNABLES = glibc.malloc.hugetlb=1
test: $(VENV)/.tested
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=15 $(TESTS)

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests with the lowest versions that pyproject.toml allows; these use functions that other libraries have deprecated since.
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

# Check links to other sites.
linkcheck: $(VENV)/.documented
	mkdir -p build/site/source
	$(SITE) -b linkcheck build/site/links

# Write the installed versions as constraints for users; run it after the tests have passed.
constraints: $(VENV)/.tested
	echo "# Versions with which the tests last passed; 'make constraints' writes this file." > constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$$' >> constraints.txt

# Tag the current commit with the version, whose date must be in CHANGELOG.md.
release: $(VENV)/.tested
	$(BIN)/python -m pytest -n 0 -q tests/test_packaging.py
	git diff --quiet HEAD
	version=$$($(BIN)/hatchling version) && grep "^## \[$$version\] - 20" CHANGELOG.md && git tag -a "v$$version" -m "simdeploy $$version"

# CASES mutated files and stores of each kind, different ones each time unless FIRST sets the number of the first.
CASES ?= 2000
FIRST ?= $(shell date +%s)000000
fuzz: $(VENV)/.tested
	HYPOTHESIS_PROFILE=fuzz FUZZ_CASES=$(CASES) FUZZ_FIRST=$(FIRST) $(BIN)/python -m pytest -n auto \
		tests/test_fuzzing.py tests/dialects/test_broken_files.py tests/test_properties.py tests/test_engines_equal.py tests/test_malformed.py tests/test_openapi.py

# BENCH="benchmarks --write-page" writes the results to docs/performance.md; a part of the benchmarks replaces only its rows.
BENCH ?= benchmarks
bench: $(VENV)/.tested
	$(BIN)/python -m pytest $(BENCH) --benchmark-only -p no:xdist

# Record and replay real Docker Swarm, as root. Takes some minutes; Debian's packages are unpacked, not installed.
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
