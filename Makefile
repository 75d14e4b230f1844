# Atelier's front door. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PROTOS := $(shell find proto -name '*.proto')

# What the images' labels say of them.
export VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
export REVISION := $(shell git describe --always --abbrev=40 --exclude='*' --dirty 2> /dev/null || echo unknown)
export CREATED := $(shell git log -1 --format=%cI 2> /dev/null || echo unknown)

.PHONY: help install run train serve test load bench capacity bench-parts soak soak-long screenshots containers images up down render sbom check format lint types imports generated unit proto lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

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

load: install ## load the gateway that runs here, or one started for it; ends with 1 when an objective is missed
	@$(BIN)/python -m tests.load

bench: install ## measure the service beside its floors and what one would write instead: build/bench/report.md (13 minutes; needs a trained store)
	@$(BIN)/python -m tests.bench

capacity: install ## what the benchmarks' figures come to at other loads, into docs/capacity.md (needs make bench's report)
	@$(BIN)/python -m tests.capacity --write docs/capacity.md

bench-parts: install ## measure parts by themselves: model server, its start, the gateway's footprint, coalescing (needs a trained store)
	@$(BIN)/python -m tests.bench.model_server
	@$(BIN)/python -m tests.bench.model_server_start
	@$(BIN)/python -m tests.bench.gateway_footprint
	@$(BIN)/python -m tests.bench.gateway_coalescing

soak: install ## for minutes: model server swaps under load, a fuzz; gateway overload and restarts (needs a trained store), attacks
	@$(BIN)/python -m tests.soak.model_server_swaps
	@$(BIN)/python -m tests.soak.model_server_cycles
	@$(BIN)/python -m tests.soak.model_server_fuzz
	@$(BIN)/python -m tests.soak.gateway_overload http
	@$(BIN)/python -m tests.soak.gateway_overload grpc
	@$(BIN)/python -m tests.soak.gateway_rolling_restart
	@$(BIN)/python -m tests.soak.gateway_attacks

soak-long: install ## twenty minutes at 70 % of peak: errors, p99 by the minute, memory's slope (needs a trained store)
	@$(BIN)/python -m tests.soak.gateway_long

screenshots: install ## take the README's pictures of the playground anew, of the stack that runs here (needs Chromium)
	@$(BIN)/python -m tests.browser.screenshots http://127.0.0.1:$${ATELIER_HTTP_PORT:-8080}

containers: install ## run the container tests: images, compose, pods (needs an engine, or root to start one)
	$(BIN)/python -m pytest tests/containers -m containers

images: ## build the container images
	@docker compose --profile images --profile load build

up: ## train once, then serve in containers (the same as docker compose up)
	@docker compose up

down: ## stop and remove the containers; the store's volume stays
	@docker compose down

render: ## show what the Kubernetes overlays come to
	@for overlay in k8s/overlays/*/; do echo "# --- $$overlay"; kubectl kustomize $$overlay; echo ---; done

sbom: install ## the bill of materials (CycloneDX) of each image, from its lock file, into build/sbom/
	@mkdir -p build/sbom
	@for part in training serving/gateway serving/model_server tests/load; do \
	  $(BIN)/cyclonedx-py requirements $$part/requirements.lock --output-reproducible -o build/sbom/$$(basename $$part).cdx.json; done
	@ls build/sbom/*

k8s/components/monitoring/prometheus-rule.yaml: k8s/components/monitoring/prometheus/rules.yml
	@{ sed '/^spec:/q' $@; sed -n '/^groups:/,$$ s/^/  /p' $<; } > $@.new && mv $@.new $@

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
	$(call lock_image,serving/gateway,--extra gateway --extra tracing)
	$(call lock_image,serving/model_server,--extra model-server)
	$(call lock_image,training,--extra training)
	$(call lock_image,tests/load,--group load)

# An image installs only what its part needs, of the versions that are tested.
define lock_image
$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 $(2) --constraint requirements.lock \
  --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -o $(1)/requirements.lock
endef

clean: ## remove what was built here (not the store)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
