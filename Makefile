# Two commands do all set-up: make demo and make test. Both may be run again; a change of requirements reinstalls.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH := $(VENV)/.installed-bench
DOCS := $(VENV)/.installed-docs
CLUSTER := $(VENV)/.installed-cluster
GPU_PYTHON := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
PEERS := .venv-peers
OLDEST := .venv-oldest

# Where it is set, each process would compile the package and rewrite the assertions of all tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-all test-processors test-oldest gpu dist lint coverage evidence bench docs pages notebook clean

demo: $(STAMP)
	$(BIN)/python examples/start/plot_quickstart.py

# The quick tests, in as many processes as there are cores.
test: $(STAMP)
	$(BIN)/python -m pytest -n auto -m "not slow"

# What the quick tests leave out: examples, snippets of the pages, the package itself, long trainings, the site in a
# browser (Debian's chromium and chromium-driver, if they are there), and the clusters of dask, Ray and Spark, whose
# packages take 40 s to install, and 790 MB. Only files with such tests are collected, as each process does it anew.
test-slow: $(CLUSTER) pages
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow $$(grep -rlw slow tests --include="test_*.py")

test-all: test test-slow

# The tests that compare numbers, under eleven settings of instruction sets, libraries, threads and memory.
test-processors: $(STAMP)
	$(BIN)/python tests/processors.py -n auto

# The quick tests with the oldest versions that pyproject.toml accepts, without the extra "onnx", whose bounds are those of
# constraints.txt, and without docstrings, whose outputs are those of today's torch. Old versions warn of each other.
test-oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest tests -n auto -m "not slow" -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning

# On a machine with CUDA, in at most eight minutes: the tests marked cuda, and the tables of benchmarks/gpu.py. It installs
# nothing, so that it runs without network beside a torch that is there, and lists the wheels to bring if some are missing.
# SKGCA_CUDA=cpu GPU="--device cpu --quick" rehearses it on a CPU.
gpu: export PYTHONPATH := .
gpu:
	@$(GPU_PYTHON) -m benchmarks.gpu --check
	@failed=0; \
	timeout 180 $(GPU_PYTHON) -m pytest -q -m cuda $$(grep -rl "mark\.cuda" tests --include="test_*.py") || failed=$$?; \
	$(GPU_PYTHON) -m benchmarks.gpu $(GPU) || failed=$$?; \
	exit $$failed

# dist/: the sdist and the wheel, looked through, and the wheel tried in an environment of its own.
dist: $(STAMP)
	rm -rf dist
	SKGCA_DIST=dist $(BIN)/python -m pytest tests/project/test_dist.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/codespell

coverage: $(CLUSTER)
	$(BIN)/python -m pytest -n auto --cov=skgca --cov-report=term

# All tables of docs/ and the README, measured again and written there: hours, and resumable. EVIDENCE=--list tells more.
evidence: $(BENCH) $(PEERS)/.installed
	$(BIN)/python -m benchmarks.evidence $(EVIDENCE)

bench: $(BENCH) $(PEERS)/.installed
	$(BIN)/python -m benchmarks.evidence --quick $(EVIDENCE)

# The site, docs/_build/html, and "pages", the same in two minutes, without running the examples.
docs: $(DOCS)
	$(BIN)/python -m sphinx -W --keep-going -j auto $(SPHINXOPTS) docs docs/_build/html

pages: SPHINXOPTS += -D plot_gallery=0
pages: docs

# The quickstart as a notebook.
notebook: $(DOCS)
	cp examples/start/plot_quickstart.py examples/start/quickstart.py
	$(BIN)/sphinx_gallery_py2jupyter examples/start/quickstart.py
	rm examples/start/quickstart.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[onnx,plot,test]"
	touch $@

$(OLDEST)/.installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt --editable ".[plot,test]"
	touch $@

$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[docs]"
	touch $@

$(CLUSTER): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[cluster]"
	touch $@

$(BENCH): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	touch $@

# Other people's packages, in an environment of their own; the file of requirements says why.
$(PEERS)/.installed: pyproject.toml constraints.txt benchmarks/peers-requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench,plot]"
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement benchmarks/peers-requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(OLDEST) build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		docs/_build docs/api/generated docs/auto_examples
