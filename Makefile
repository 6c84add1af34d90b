.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help:            ## Show what can be made
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (set PYTHON=…)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(STAMP)  ## Create .venv and install the project into it

demo: setup      ## Make a synthetic economy, train on encrypted aggregates, assess four firms
	$(BIN)/credfed demo --out build/demo

up: setup        ## Start a federation of separate processes: SuperLink, SuperNodes, coordinator, nodes, bank
	$(BIN)/credfed up build/up

down: setup      ## Stop it
	$(BIN)/credfed down build/up

check: setup     ## Lint, type-check, and keep the import law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check      ## Run every check and test that needs no server
	$(BIN)/pytest -n 2 -m "not slow and not browser" $(PYTEST_FLAGS)

test-slow: setup ## Run the tests at full key size and on full data sets
	$(BIN)/pytest -n 2 --dist loadfile -m "slow and not chaos" $(PYTEST_FLAGS)

test-chaos: setup ## Break a federation of processes in every way, under load; needs root on Linux, else it skips
	$(BIN)/pytest -m chaos $(PYTEST_FLAGS)

test-browser: setup ## Run the console's tests in a real headless Chromium, if there is one
	$(BIN)/pytest -m browser $(PYTEST_FLAGS)

bench: setup     ## Measure, against a baseline in the same run
	$(BIN)/credfed bench paillier

wheels: setup    ## Gather the project and all that it needs as wheels, to install without the internet
	rm -rf dist/wheels
	$(BIN)/python -m pip wheel --quiet --wheel-dir dist/wheels --constraint constraints.txt '.[postgres]'
	cd dist/wheels && sha256sum *.whl > SHA256SUMS

stubs: setup     ## Make the stream's frame classes from their .proto file
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. protocols/stream/frame.proto

clean:           ## Remove what was built, keep the environment
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup demo up down check test test-slow test-chaos test-browser bench wheels stubs clean
