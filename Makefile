.PHONY: help demo up test lint format clean bench constraints

PYTHON ?= python3.11
BIN := .venv/bin

help: ## say what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[dev]' -c constraints.txt
	@touch $@

demo: .venv/ready ## the main job end to end: photos -> Airflow -> DVC-versioned training set
	@$(BIN)/python -m hopchain_etl.demo

up: .venv/ready ## leave S3 and the Airflow UI running; prints URL, users and passwords
	@$(BIN)/python -m hopchain_etl.demo up

test: .venv/ready ## all tests
	$(BIN)/python -m pytest

lint: .venv/ready ## ruff, formatting, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready ## benchmarks; the last line is JSON
	$(BIN)/python benchmarks/ingest.py

constraints: ## resolve the versions anew
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --no-header --no-annotate --no-emit-index-url -q -o constraints.txt

clean: ## stop and remove what demo and up made
	@test ! -x $(BIN)/python || $(BIN)/python -m hopchain_etl.demo clean
	rm -rf .demo
