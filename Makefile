# Atelier's front door. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PROTOS := $(shell find proto -name '*.proto')

.PHONY: help install run train serve test bench soak check format lint types imports generated unit proto lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(INSTALLED) ## install everything into .venv, as locked

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Atelier needs Python 3.11 to 3.13; set PYTHON=, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

run: install ## train what is not yet in the store (quickly), then serve it here until Ctrl-C
	@$(BIN)/python -m training fashion housing --preset quick --if-missing
	@$(BIN)/python -m serving

train: install ## train and publish all models
	@$(BIN)/python -m training fashion housing

serve: install ## serve what is in the store until Ctrl-C
	@$(BIN)/python -m serving

test: install ## run the tests
	$(BIN)/python -m pytest

bench: install ## measure the model server against a naive one, and what the gateway takes (needs a trained store)
	@$(BIN)/python -m tests.bench.model_server
	@$(BIN)/python -m tests.bench.gateway_footprint
	@$(BIN)/python -m tests.bench.gateway_coalescing

soak: install ## the model server for minutes: swaps under load, load and unload, a fuzz over both doors
	@$(BIN)/python -m tests.soak.model_server_swaps
	@$(BIN)/python -m tests.soak.model_server_cycles
	@$(BIN)/python -m tests.soak.model_server_fuzz

check: install lint test ## everything CI runs

format: install ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install types imports generated ## format, lint, types, import rules, protos and generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

imports: install
	PYTHONPATH=. $(BIN)/lint-imports

proto: install ## regenerate serving/generated from proto/
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=serving/generated --pyi_out=serving/generated $(PROTOS)

generated: install
	$(BIN)/buf lint proto
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out="$$scratch" --pyi_out="$$scratch" $(PROTOS) && \
	diff -r --exclude=__init__.py --exclude=__pycache__ "$$scratch" serving/generated \
	  || { echo 'serving/generated is out of date: run make proto' >&2; exit 1; }

lock: install ## resolve requirements.lock again from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --all-extras --group dev \
	  --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -o requirements.lock

clean: ## remove what was built here (not the store)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
