# Commands of the archival pipeline. `make` alone lists them.
# Needed on the machine: make and Python 3.11 or newer. Everything else comes into .venv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-from-lock
TESTS := archival_pipeline_tests
PYTEST := $(BIN)/python -m pytest
# Tests wait for servers more than they compute: two files at a time, each worker with servers of its own.
TWO := -n 2 --dist loadfile
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
	--no-emit-package archival-pipeline --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet
# More arguments for pytest: make test ARGS="-k settings"
ARGS ?=

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

.PHONY: setup
setup: $(STAMP) ## Make .venv from requirements.lock (only when something changed)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Say which one to use: make setup PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	}
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.PHONY: demo
demo: setup ## Show a whole move on embedded servers with sample data
	$(BIN)/python -m archival_pipeline.local.demo

.PHONY: dev
dev: setup ## Start embedded servers, the REST service (3000) and the Dagster UI (3001)
	$(BIN)/python -m archival_pipeline.local.dev

.PHONY: dev-environment
dev-environment: setup ## Print the variables of the servers that `make dev` started: eval "$(make --silent dev-environment)"
	@$(BIN)/python -m archival_pipeline.local.environment

.PHONY: test
test: setup ## Run unit, integration and end-to-end tests
	$(PYTEST) $(TWO) -m "not slow and not faults" $(ARGS)

.PHONY: test-slow
test-slow: setup ## Run the tests that take long
	$(PYTEST) $(TWO) -m "slow and not faults and not browser" $(ARGS)

.PHONY: test-browser
test-browser: setup ## Go through an operator's day in a real browser (Chromium, see .ci/chromium)
	$(PYTEST) -m browser $(ARGS)

.PHONY: screenshots
screenshots: setup ## The same, and renew the pictures of the documents
	SCREENSHOTS=$(CURDIR)/docs/images $(PYTEST) -m browser $(ARGS)

.PHONY: test-faults
test-faults: setup ## Run every test that kills, cuts and fills things, at every point: hours
	$(PYTEST) -m faults $(ARGS)

.PHONY: test-faults-ci
test-faults-ci: setup ## Run those that try each fault at a few points: a quarter of an hour on two quiet cores
	$(PYTEST) -m "faults and not slow" $(ARGS)

.PHONY: test-imixs-kills
test-imixs-kills: setup ## Kill the Imixs backup and restore at every point that others can see: minutes
	$(PYTEST) -s -m faults $(TESTS)/integration/imixs/test_kill.py $(ARGS)

.PHONY: test-contract
test-contract: setup ## Run every curl of docs/rest.md against the servers of `make dev`
	$(PYTEST) $(TESTS)/e2e/test_contract.py $(ARGS)

.PHONY: test-rest
test-rest: setup ## Send the REST interface whatever its OpenAPI document allows, and what it does not
	$(PYTEST) -s $(TESTS)/e2e/test_rest_schema.py $(ARGS)

.PHONY: bench-rest
bench-rest: setup ## Measure 200 readers of the REST interface beside a running backup
	$(BIN)/python -m archival_pipeline_tests.bench.readers $(ARGS)

.PHONY: bench
bench: setup ## Measure the move against the raw pipe; ARGS=--large adds 50,000 trees
	$(BIN)/python -m archival_pipeline_tests.bench $(ARGS)

.PHONY: bench-long
bench-long: setup ## Watch a run of 50,000 trees in the Dagster UI, and terminate another one
	$(BIN)/python -m archival_pipeline_tests.bench.long_run $(ARGS)

.PHONY: bench-imixs
bench-imixs: setup ## Measure the Imixs backup against one-by-one transfer, and its memory
	$(BIN)/python -m archival_pipeline_tests.bench.imixs $(ARGS)

.PHONY: bench-cleanup
bench-cleanup: setup ## Measure the history cleanup beside the engine's own rule
	$(BIN)/python -m archival_pipeline_tests.bench_cleanup $(ARGS)

.PHONY: bench-cleanup-archive
bench-cleanup-archive: setup ## Measure archiving before removal, and the restore, beside a cleanup that keeps nothing
	$(BIN)/python -m archival_pipeline_tests.bench_cleanup.archiving $(ARGS)

.PHONY: bench-interim
bench-interim: setup ## Measure the cleanup of interim data of 100,000 processes beside a plain loop
	$(BIN)/python -m archival_pipeline_tests.bench_interim $(ARGS)

.PHONY: bench-variables
bench-variables: setup ## Measure a variable snapshot of an instance with 100,000 changes
	$(BIN)/python -m archival_pipeline_tests.bench.variables $(ARGS)

.PHONY: bench-history
bench-history: setup ## Measure the history; ARGS="--events 1000000 --rows 10000000" is the large size, --kafka a real one
	$(BIN)/python -m archival_pipeline_tests.bench_history $(ARGS)

.PHONY: test-history-kafka
test-history-kafka: setup ## Run the history over Kafka, mock and real; needs Java 17 and Maven
	$(PYTEST) -m slow -k "kafka" $(TESTS)/integration/history $(ARGS)

.PHONY: lint
lint: setup ## Check style, types, layers, SQL, the lock and the Dagster definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint sql/
	$(BIN)/python -m pip check
	$(PYTEST) -q $(TESTS)/unit/test_lock.py
	# An empty home: the definitions must load without a storage, so without any server.
	mkdir -p build/empty-home && touch build/empty-home/dagster.yaml
	if [ -f archival_pipeline/definitions.py ]; then \
		DAGSTER_HOME=$(CURDIR)/build/empty-home $(BIN)/dagster definitions validate -w workspace.yaml; \
	fi

.PHONY: format
format: setup ## Put code and SQL into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix sql/

.PHONY: lock
lock: setup ## Renew both locks after a change of pyproject.toml; ARGS=--upgrade takes newer releases
	$(COMPILE) --all-extras $(ARGS) -o requirements.lock
	# What an image needs: the same releases, without what only development uses.
	$(COMPILE) --extra kubernetes --constraint requirements.lock -o requirements-runtime.lock

.PHONY: wheel
wheel: setup ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: clean
clean: ## Stop the embedded servers and remove everything that was made here
	if [ -d .local ] && [ -x $(BIN)/python ]; then $(BIN)/python -m archival_pipeline.local.servers .local; fi
	rm -rf .local $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
