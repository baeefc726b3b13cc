# `make quick`, `make run` and `make test` do all set-up themselves: Python 3.11+, git and make are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One process runs all tests of a file; files run in any order. Slow tests mostly wait for processes to start.
ORDER := --dist=loadfile --no-loadscope-reorder
FAST := -m "not slow" --numprocesses=3 $(ORDER)
SLOW := -m slow --numprocesses=5 $(ORDER)
TEST_STAMP := $(VENV)/.installed-for-tests
BENCH_STAMP := $(VENV)/.installed-for-benchmarks
# Hundreds of short-lived Pythons start during the tests: without it each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quick run test test-all install-test coverage cluster-demo study study-check lint bench docs clean

quick: $(STAMP)
	$(BIN)/python -m orchestrator +sweep=quick
	@echo
	@echo "4 rounds show a large difference and promise nothing. Now run \`make run\`: 8 trials in about 5 minutes."
	@echo "For the commands above: \`source $(VENV)/bin/activate\` first."

run: $(STAMP)
	$(BIN)/python -m orchestrator +sweep=vision

# What a change can break on the way; the slow rest needs root, Linux and Chromium.
test: $(TEST_STAMP)
	$(BIN)/python -m pytest $(FAST) --durations=10

test-all: $(TEST_STAMP)
	$(BIN)/python -m pytest $(SLOW) --durations=30

# Both sets with coverage of each room of orchestrator/, which fails below 85 %.
coverage: export PYTHONPATH = $(CURDIR)/tests/support/in_ray
coverage: $(TEST_STAMP)
	$(BIN)/python -m coverage run -m pytest $(FAST)
	$(BIN)/python -m coverage run -m pytest $(SLOW)
	$(BIN)/python -m coverage combine --quiet
	mkdir -p build
	$(BIN)/python -m coverage json --quiet --include='orchestrator/*' -o build/coverage.json
	$(BIN)/python tests/coverage_of_rooms.py build/coverage.json

# The wheel in an empty environment and on the newest Python, and the steps of the Dockerfile in a clean root file system: Debian, root and
# debootstrap.
install-test: $(TEST_STAMP)
	$(BIN)/python -m pytest tests/e2e/check_installation.py

# Four hosts out of this machine: root and Linux; says why where it cannot.
cluster-demo: $(STAMP)
	PYTHON=$(BIN)/python cluster/demo/run.sh

# The paper's study on four allocations of this machine, at most 90 minutes on 2 cores: measures, keeps the results as
# docs/study/measured.tar.gz and writes their numbers into docs/study.md. Root and Linux; says why where it cannot.
study: $(TEST_STAMP)
	PYTHON=$(BIN)/python docs/study/measure.sh
	PYTHON=$(BIN)/python docs/study/numbers.sh write

# Computes all numbers of docs/study.md once more, from the measured times that lie in the repository.
study-check: $(TEST_STAMP)
	PYTHON=$(BIN)/python docs/study/numbers.sh check

lint: $(TEST_STAMP)
	$(BIN)/shellcheck -x --source-path=SCRIPTDIR cluster/*.sh cluster/demo/*.sh docs/study/*.sh .ci/run
	$(BIN)/zizmor --quiet --offline .github action.yml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/reference.py --check
	$(BIN)/proselint check --config docs/proselint.json README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs/*.md docs/adr/*.md
	$(BIN)/python benchmarks/size.py

# About 40 minutes on 2 idle cores; a subset by hand: `python benchmarks/run.py --quick`, or names.
bench: $(BENCH_STAMP)
	$(BIN)/python benchmarks/run.py

# A site of docs/, build/docs/index.html; a link that leads nowhere is an error.
docs: $(TEST_STAMP)
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet --conf-dir docs/site . build/docs

# Data-only packages come with --no-deps: their declared dependencies are heavy and not needed.
# The script says what comes, how much and how long, and takes torch without CUDA where there is no NVIDIA GPU.
$(STAMP): pyproject.toml requirements/assets.txt requirements/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python requirements/install.py vision
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/assets.txt
	touch $(STAMP)

$(TEST_STAMP): $(STAMP) requirements/servers.py
	$(BIN)/python requirements/install.py vision,language,timm,tensorflow-cpu,mlflow,servers,docs,test,lint
	$(BIN)/python requirements/servers.py $(VENV)/servers
	touch $(TEST_STAMP)

# The peers: faster-coco-eval and LoadGen.
$(BENCH_STAMP): $(TEST_STAMP)
	$(BIN)/python requirements/install.py bench
	touch $(BENCH_STAMP)

clean:
	rm -rf $(VENV) build dist
