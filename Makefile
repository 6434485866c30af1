# Every target does the set-up that it needs; the only things assumed are Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DATA ?= .draas
SEEDS ?= 2000
FROM ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup run test bench lint format docs lock clean kill-matrix simulate

help:  ## Say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Install everything into .venv

$(STAMP): requirements/dev.txt pyproject.toml scripts/make-venv
	@echo "Setting up $(VENV) from hashed locks; once, for about a minute"
	@PYTHON=$(PYTHON) scripts/make-venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP)  ## Start a fleet of three servers that heals itself
	$(BIN)/draas up --data $(DATA) --control-plane-port 5000 --daemon-port 8080 --demo

test: $(STAMP) lint  ## Run every check and every test
	$(BIN)/pytest -n 3 --dist worksteal --ignore tests/unit/simulation
	$(BIN)/pytest tests/unit/simulation

simulate: $(STAMP)  ## Let SEEDS worlds happen to the daemon on virtual time
	$(BIN)/python -m draas.testing.simulate --seeds $(SEEDS) --from $(FROM)

kill-matrix: $(STAMP)  ## Kill and freeze daemons, control planes and Envoy in every phase
	$(BIN)/pytest -n 4 --dist worksteal tests/e2e/test_kill_matrix.py tests/e2e/test_takeover_matrix.py \
		tests/e2e/test_control_plane_matrix.py tests/e2e/test_other_servers.py -m "matrix or not matrix"
	$(BIN)/pytest tests/e2e/test_replicas_fleet.py -m "matrix or not matrix"

bench: $(STAMP)  ## Measure; writes docs/benchmarks.md and build/bench.json
	$(BIN)/python -m benchmarks

lint: $(STAMP)  ## Check style, types and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP)  ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## Write the reference pages that are generated from code
	$(BIN)/python scripts/generate-reference

lock: $(STAMP)  ## Renew the hashed locks from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	scripts/lock $(BIN)/uv

clean:  ## Remove everything that was made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
