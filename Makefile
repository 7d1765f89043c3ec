# Each command does its own set-up, also on a fresh machine: `make demo`, `make test`, `make docs`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo

.PHONY: demo test lint fast slow coverage docs clean

demo: $(VENV)/.demo
	$(BIN)/covey demo --out $(OUT)

test: lint fast

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: $(VENV)/.dev
	$(BIN)/pytest -n auto -m "not slow and not postgresql"

# The registry's tests on PostgreSQL too; then real engines and whole runs: minutes, not seconds.
slow: $(VENV)/.dev
	$(BIN)/pytest -n auto -m "slow or postgresql"

# The tests of `make fast`, with the share of lines that they run; fails below the floor in pyproject.toml.
coverage: $(VENV)/.dev
	$(BIN)/pytest -n auto -m "not slow and not postgresql" --cov --cov-report=term --cov-report=html

# The documentation, in site/. Every link and every anchor is checked.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[docs]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Covey needs Python 3.11 or later; call make with PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) $(OUT) site htmlcov .coverage
