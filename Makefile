# Two commands do all set-up: make demo and make test. Both may be run again; a change of requirements reinstalls.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: demo test lint typecheck coverage bench docs clean

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

# The site, docs/_build/html; with SPHINXOPTS="-D plot_gallery=0" in half a minute, without running the examples.
docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx -W --keep-going $(SPHINXOPTS) docs docs/_build/html

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[docs]"
	touch $@

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[plot,test]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		docs/_build docs/api/generated docs/auto_examples
