# Every target sets up what it needs by itself; `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
RECIPE ?= linear
WORKERS ?= 2
SECONDS ?= 60
FETCHED := fashion motion pulse spam vowels

.DEFAULT_GOAL := help
.PHONY: help setup train-distributed test test-soak test-arm test-arm-quick fuzz docs lint format bench bench-quick bench-serving-peers lock clean distclean cartpole $(FETCHED)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  make cartpole, and $(FETCHED):"
	@echo "                          one application, from its raw data to proven files"

setup: $(READY) ## Create .venv and install the pinned dependencies

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python lacks the venv module; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "setting up $(VENV) with about 5 GB of packages; this is done once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

train-distributed: $(READY) ## Train both frameworks on Ray workers, export, verify (RECIPE=, WORKERS=)
	@$(BIN)/toolkit run $(RECIPE) --workers $(WORKERS)

cartpole $(FETCHED): $(READY)
	@$(if $(filter $@,$(FETCHED)),$(BIN)/toolkit data fetch $@)
	@$(BIN)/toolkit run $@ --workers $(WORKERS) --precision fp32 --precision int8

test: $(READY) ## Run the tests
	@$(BIN)/python -m pytest

test-soak: $(READY) ## Run the longer tests: more kills, lost nodes, jobs
	@$(BIN)/python -m pytest -m soak

test-arm: $(READY) ## Run the tests on an emulated aarch64 (240 MB in .cache/arm)
	@deploy/arm/setup.sh
	@$(BIN)/python -m pytest -m arm

test-arm-quick: $(READY) ## The same without training: a signed bundle, both runtimes
	@deploy/arm/setup.sh
	@$(BIN)/python -m pytest -m arm tests/arm/test_bundle.py -k "not int8 and not weights"

fuzz: $(READY) ## Damage bundles, manifests, golden vectors and key stores for SECONDS=60
	@$(BIN)/python -X faulthandler -m tests.bundle.fuzz $(SECONDS)

docs: $(READY) ## Build the documentation into site/; any broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(READY) ## Check style (ruff), types (mypy) and import rules (import-linter)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(READY) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## Measure against peers, as ratios (about 30 minutes)
	@$(BIN)/python -m benchmarks

bench-quick: $(READY) ## The same, one pair each
	@$(BIN)/python -m benchmarks --quick

bench-serving-peers: $(READY) ## Measure toolkit serve against LitServe, MLServer, BentoML (900 MB in .cache/peers)
	@benchmarks/peers/setup.sh
	@$(BIN)/python -m benchmarks.serving_peers

lock: $(READY) ## Upgrade within pyproject.toml's ranges and pin again
	@$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	@head -3 requirements.lock > requirements.new
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' \
	  | grep -v -E '^(nvidia-|triton==)' >> requirements.new
	@mv requirements.new requirements.lock

clean: ## Remove caches and build output; runs/ and .venv are kept
	@rm -rf dist build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove .venv too
	@rm -rf $(VENV)
