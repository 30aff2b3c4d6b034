# `make` or `make help` lists the targets. PYTHON may name another interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help venv rehearsal down reset lint format browser test test-long bench docs lock build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: ## make .venv from requirements.lock
	@$(PYTHON) rehearsal/bootstrap.py

rehearsal: venv ## the whole system on this machine: servers, deploys, an agent's demo
	@$(BIN)/narrowgate rehearsal up

down: venv ## end every process of the rehearsal, keep its data
	@$(BIN)/narrowgate rehearsal down

reset: venv ## end every process of the rehearsal and delete its data
	@$(BIN)/narrowgate rehearsal reset --yes

lint: venv ## ruff, format check, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv ## format and sort imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: venv ## every test but the long ones; sets up all it needs
	$(PYTEST) -m "not long" -n $(JOBS) --dist loadfile

browser: venv ## a Chromium for the tests of the approvers' page, unless the machine has one
	@$(BIN)/python -m rehearsal.browser

test-long: browser ## random, fault and cross-check tests that take minutes
	$(PYTEST) -m long -n $(JOBS) --dist loadfile

bench: venv ## speed, as ratios within one run
	@missed=0; for file in benchmarks/bench_*.py; do $(BIN)/python $$file || missed=1; done; exit $$missed

docs: venv ## write the generated reference pages anew
	$(BIN)/python -m pytest -q tests/golden tests/rules/test_rule_pages.py tests/unit/test_cli_init.py --update-golden

lock: venv ## pin all packages anew, with hashes
	UV_NO_CONFIG=1 $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --all-extras --group dev pyproject.toml rehearsal/pyproject.toml -o requirements.lock

build: venv ## the wheel and the source archive, into dist/
	UV_NO_CONFIG=1 $(BIN)/uv build --no-build-isolation -q

clean: ## delete .venv and build results (not the rehearsal's data: see reset)
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
