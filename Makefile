# Every target sets up what it needs: a virtual environment with pinned packages in .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: venv demo test lint check bench
.DEFAULT_GOAL := check

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python -P -m mocme.demo

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: $(STAMP)
	set -e; for script in benchmarks/*.py; do $(BIN)/python $$script; done
	$(BIN)/python -m pytest -m slow
	MOCME_KILLS=25 $(BIN)/python -m pytest tests/test_extractors/test_killed_runs.py \
		tests/test_model/test_resume.py
