# `make run` shows bothways at work; `make test` checks everything; `make test-clients` checks the
# server with the clients of others, `make test-databases` the recipes for databases,
# `make test-integrations` the adapters for other frameworks, and `make test-extras` what needs Ray,
# Dask, usearch or UMAP. All start from a bare clone and need Python 3.11 or later, with its venv and pip,
# and a network or a pip that does without; the tests of clients also use npm if it exists.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
SAMPLE := examples/sentences.txt
OUT    := build/sentences.jsonl
ENGINE := $(shell find src/bothways/native/engine -type f)
CLIENTS := build/clients
QUERY  := something to keep the rain off

.DELETE_ON_ERROR:
.PHONY: run test test-clients test-databases test-extras test-integrations test-lowest format lint types imports unit clean

run: $(VENV)/run.stamp
	@mkdir -p $(dir $(OUT))
	$(BIN)/bothways pull minilm
	$(BIN)/bothways encode $(SAMPLE) --model minilm --output $(OUT) --overwrite
	$(BIN)/bothways search "$(QUERY)" --in $(OUT) -k 5

test: format lint types imports unit

format: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

imports: $(VENV)/dev.stamp
	$(BIN)/lint-imports

# One process per core, one thread per process: torch would take all cores in each.
unit: $(VENV)/dev.stamp build/node/stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

# The linter of scripts and the checker of pages; their tests are skipped without npm.
build/node/stamp: tests/pages/package.json
	mkdir -p build/node
	cp $< build/node
	-if command -v npm > /dev/null; then npm install --silent --prefix build/node; fi
	@touch $@

# In an environment without bothways, as clients are. They may leave sockets to the garbage collector.
test-clients: $(CLIENTS)/clients.stamp $(VENV)/dev.stamp
	BOTHWAYS_PYTHON="$(CURDIR)/$(BIN)/python" CLIENTS_NODE="$(CURDIR)/$(CLIENTS)/node" \
	  $(CLIENTS)/venv/bin/python -m pytest --confcutdir=tests/clients tests/clients \
	  -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning

$(CLIENTS)/clients.stamp: tests/clients/requirements.txt tests/clients/package.json
	$(PYTHON) -m venv --clear $(CLIENTS)/venv
	$(CLIENTS)/venv/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	mkdir -p $(CLIENTS)/node
	cp tests/clients/package.json $(CLIENTS)/node
	if command -v npm > /dev/null; then npm install --silent --prefix $(CLIENTS)/node; fi
	@touch $@

# The lowest versions of the dependencies, in an environment of their own. Comparisons with
# transformers, JAX and scikit-learn's estimator checks need newer versions, and memory plans are
# measured on the current torch. On Linux, pip takes the CUDA build of this torch: 3 GB.
LOWEST := build/lowest
LOWEST_TESTS := $(addprefix tests/,checkpoints cli files inference io model native nn search sequences \
	training test_encoder.py test_installation.py test_package.py test_pickled_encoder.py)

test-lowest: $(LOWEST)/stamp
	PATH="$(CURDIR)/$(LOWEST)/bin:$$PATH" OMP_NUM_THREADS=1 $(LOWEST)/bin/pytest -n auto \
		-W ignore::DeprecationWarning -m "not current_versions" $(LOWEST_TESTS)

$(LOWEST)/stamp: pyproject.toml constraints-lowest.txt $(ENGINE)
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint constraints-lowest.txt \
		'.[torch,parquet,plots,sklearn,hub,onnx,tensorboard]' beartype hypothesis onnxruntime pytest pytest-xdist
	@touch $@

# The recipes of docs/databases.md, in an environment of their own: the packages take 700 MB.
DATABASES := build/databases

test-databases: $(DATABASES)/bin/python
	$(DATABASES)/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint constraints.txt --editable '.[parquet]' -r examples/databases/requirements.txt
	PYTHONPATH=examples $(DATABASES)/bin/python -m databases.check

$(DATABASES)/bin/python:
	$(PYTHON) -m venv $(DATABASES)

# Ray, usearch and UMAP, which the dev extra leaves out, and the recipes of docs/clusters.md, in an
# environment of their own: the packages take 600 MB.
EXTRAS := build/extras

test-extras: $(EXTRAS)/bin/python
	$(EXTRAS)/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint constraints.txt --editable '.[parquet,ray,index,map,sklearn]' -r examples/clusters/requirements.txt \
		beartype hypothesis pytest
	RAY_USAGE_STATS_ENABLED=0 $(EXTRAS)/bin/python -m pytest tests/jobs/test_ray.py \
		tests/search/test_graph.py tests/cli/test_index.py tests/views/test_map.py
	PYTHONPATH=examples $(EXTRAS)/bin/python -m clusters.check

$(EXTRAS)/bin/python:
	$(PYTHON) -m venv $(EXTRAS)

# The adapters of bothways.integrations with their frameworks, and docs/integrations.md, in an
# environment of their own: the packages take 3 GB. Frameworks warn of what others deprecate.
INTEGRATIONS := build/integrations

test-integrations: $(INTEGRATIONS)/bin/python
	$(INTEGRATIONS)/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint constraints.txt --editable \
		'.[parquet,beir,bertopic,chroma,haystack,keybert,lancedb,langchain,llama-index,mteb,spacy]' \
		-r tests/integrations/requirements.txt
	PATH="$(CURDIR)/$(INTEGRATIONS)/bin:$$PATH" OMP_NUM_THREADS=1 ANONYMIZED_TELEMETRY=False \
	  HAYSTACK_TELEMETRY_ENABLED=False $(INTEGRATIONS)/bin/python -m pytest tests/integrations \
	  -W ignore::DeprecationWarning -W ignore::FutureWarning -W ignore::ResourceWarning \
	  -W ignore::pytest.PytestUnraisableExceptionWarning

$(INTEGRATIONS)/bin/python:
	$(PYTHON) -m venv $(INTEGRATIONS)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("bothways needs Python 3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python pyproject.toml constraints.txt $(ENGINE)
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

# After run.stamp, as one pip at a time may work on an environment.
$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
