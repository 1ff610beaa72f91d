# `make demo` and `make test` need nothing but Python 3.11 or newer: they make their own environment in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check test-oldest test-comfyui bench clean

demo: $(VENV)/.library
	$(BIN)/interrogator demo --out demo-out

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	mkdir -p $(VENV)/types && ln -sfn $(CURDIR) $(VENV)/types/pack  # ComfyUI names the pack; for types we do
	cd $(VENV)/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --allow-subclassing-any -p pack.nodes
	$(BIN)/interrogator banks check

# The oldest transformers we promise to work with, laid over the environment for the tests that load models.
test-oldest: $(VENV)/.test $(VENV)/.oldest
	PYTHONPATH=$(abspath $(VENV)/oldest) $(BIN)/python -c "import transformers; print('transformers', transformers.__version__)"
	PYTHONPATH=$(abspath $(VENV)/oldest) $(BIN)/python -m pytest -q -m models

# Boots a real ComfyUI on the CPU: make test-comfyui COMFYUI_PATH=/path/to/ComfyUI COMFYUI_PYTHON=/its/bin/python
test-comfyui: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[test,comfyui]'
	COMFYUI_PATH=$(COMFYUI_PATH) COMFYUI_PYTHON=$(COMFYUI_PYTHON) COMFYUI_FRONTEND=$(COMFYUI_FRONTEND) \
	    $(BIN)/python -m pytest -q tests/comfyui

# Hours on a small machine; `make bench BENCH="--work rank image"` runs a part.
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(BENCH)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.library: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.library

$(VENV)/.bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@ $(VENV)/.library

$(VENV)/.oldest: pyproject.toml | $(VENV)/bin/python
	rm -rf $(VENV)/oldest
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/oldest \
	    transformers==4.50.3 "huggingface-hub<1" "tokenizers<0.22"
	touch $@

clean:
	rm -rf $(VENV) demo-out build *.egg-info
