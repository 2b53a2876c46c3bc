# Needs Python 3.11-3.13 with venv, and make; nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed
# TORCH_INDEX=https://… takes another build of torch than the default one.
TORCH_INDEX ?=
INDEX   = $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX),)

.PHONY: demo test check fix slow clean
# torch goes first and alone: pinned, so that nothing later pulls another build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(INDEX) -c constraints.txt torch
	$(BIN)/pip install --quiet $(INDEX) -c constraints.txt -e '.[test]'
	touch $@

demo: $(STAMP)
	$(BIN)/tacit demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright tacit

fix: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache build *.egg-info
