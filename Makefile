# `make run` shows bothways at work; `make test` checks everything. Both start from a bare clone.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
SAMPLE := examples/sentences.txt
OUT    := build/sentences.parquet

.PHONY: run test format lint types imports unit clean

run: $(VENV)/run.stamp
	$(BIN)/bothways pull minilm
	$(BIN)/bothways encode $(SAMPLE) --model minilm --output $(OUT) --overwrite
	$(BIN)/bothways search "something to keep the rain off" --in $(OUT) -k 5

test: format lint types imports unit

format: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

imports: $(VENV)/dev.stamp
	$(BIN)/lint-imports

unit: $(VENV)/dev.stamp
	$(BIN)/pytest -n auto

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[torch]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
