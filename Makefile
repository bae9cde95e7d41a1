# The commands of the README and of CONTRIBUTING.md. Each makes the virtual environment if it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: demo test quick suite lint format coverage clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rszoo needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/rszoo demo

# Everything that must pass before a commit.
test: lint suite

# The tests that take less than a minute together, without a server.
quick: $(VENV)/installed
	$(PYTEST) -m "not slow and not hub and not device"

suite: $(VENV)/installed
	$(PYTEST)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[coverage]'
	$(PYTEST) --cov=rszoo --cov-report=term-missing:skip-covered

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage dist
