# `make demo` and `make test` need nothing but Python 3.11 or newer: they make their own environment in .venv.
PYTHON ?= python3
VENV ?= .venv
# On Windows: GNU make and a POSIX shell, such as Git's Bash; MSYS has its `ln -s` make links instead of copies.
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
EXE := .exe
export MSYS := winsymlinks:nativestrict
else
BIN := $(VENV)/bin
EXE :=
endif

JS := tests/js
RECENT := const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)

.PHONY: demo test check check-js test-oldest test-comfyui bench clean

demo: $(VENV)/.library
	$(BIN)/interrogator demo --out demo-out

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: $(VENV)/.test check-js
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	mkdir -p $(VENV)/types && ln -sfn $(CURDIR) $(VENV)/types/pack  # ComfyUI names the pack; for types we do
	cd $(VENV)/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --allow-subclassing-any -p pack.nodes
	$(BIN)/interrogator banks check

# The scripts of the pack and of the report, linted and tested where there is Node: npm installs what that takes.
check-js:
	@if node -e '$(RECENT)' 2>/dev/null && npm --version >/dev/null 2>&1; then \
	    $(MAKE) --no-print-directory $(JS)/node_modules/.package-lock.json && \
	    npm --prefix $(JS) run --silent lint && npm --prefix $(JS) run --silent test; \
	else echo "check-js: skipped; it takes Node.js 20.19 or newer, with npm"; fi

$(JS)/node_modules/.package-lock.json: $(JS)/package.json $(JS)/package-lock.json
	cd $(JS) && npm ci --no-progress
	touch $@

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

$(BIN)/python$(EXE):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.library: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.library

$(VENV)/.bench: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@ $(VENV)/.library

$(VENV)/.oldest: pyproject.toml | $(BIN)/python$(EXE)
	rm -rf $(VENV)/oldest
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/oldest \
	    transformers==4.50.3 "huggingface-hub<1" "tokenizers<0.22"
	touch $@

clean:
	rm -rf $(VENV) $(JS)/node_modules demo-out build *.egg-info
