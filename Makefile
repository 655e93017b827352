# Two commands do all set-up: make demo and make test. Both may be run again; a change of requirements reinstalls.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-peers

.PHONY: demo test lint typecheck coverage bench peers clean

demo: $(STAMP)
	$(BIN)/python examples/plot_quickstart.py

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

coverage: $(STAMP)
	$(BIN)/python -m pytest --cov=skgca --cov-report=term

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python tests/benchmarks/losses.py
	$(BIN)/python tests/benchmarks/family.py --quick
	$(BIN)/python tests/benchmarks/micro_batches.py --quick
	$(BIN)/python tests/benchmarks/threads.py --rounds 1 --max-epochs 10
	$(BIN)/python tests/benchmarks/quality.py --quick --out build/quality-quick.jsonl
	$(BIN)/python tests/benchmarks/outliers.py --quick
	$(BIN)/python tests/benchmarks/scores.py --quick --out build/scores-quick
	$(BIN)/python tests/benchmarks/stability.py --quick
	$(BIN)/python tests/benchmarks/search.py --quick

# Other people's packages, in an environment of their own.
peers: $(PEERS)/.installed
	$(PEERS)/bin/python tests/benchmarks/peers.py --quick
	$(PEERS)/bin/python tests/benchmarks/sklearn_checks.py --quick --out build/sklearn-checks-quick.jsonl

$(PEERS)/.installed: pyproject.toml constraints.txt tests/benchmarks/peers-requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[bench,plot]"
	$(PEERS)/bin/python -m pip install --quiet --no-deps --requirement tests/benchmarks/peers-requirements.txt
	touch $@

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[plot,test]"
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
