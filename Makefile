# `make help` lists the targets. CI calls the same ones. Works with Python 3.11 and make alone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BASE_PYTHON ?= python3.11
COOL_DOWN ?= P3D
BIN := .venv/bin
# Linear algebra on one thread gives the same bits everywhere, and leaves cores to the requests.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
# Chroma writes unused index slots from uninitialised memory; glibc overwrites what is freed.
export MALLOC_PERTURB_ := 165

# A stamp a set of locked versions: what is installed already costs nothing the second time.
key = $(shell cat $(1) | cksum | cut -d' ' -f1)
RUN_STAMP := .make/run-$(call key,requirements.lock pyproject.toml)
DEV_STAMP := .make/dev-$(call key,requirements-dev.lock pyproject.toml)
VLLM_STAMP := .make/vllm-$(call key,requirements-vllm.lock)
CLIENTS_STAMP := .make/clients-$(call key,requirements-clients.lock)
LOAD_STAMP := .make/load-$(call key,requirements-load.lock)
DOCS_STAMP := .make/docs-$(call key,requirements-docs.lock)
BENCH_STAMP := .make/bench-$(call key,requirements-bench.lock pyproject.toml)
# What is installed for development contains what it takes to run.
SETUP_STAMP := $(if $(wildcard .make/dev-*),$(DEV_STAMP),$(RUN_STAMP))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(SETUP_STAMP) ## Install what running needs into .venv
.PHONY: setup-dev
setup-dev: $(DEV_STAMP) ## Install what tests and benchmarks need, too
.PHONY: setup-vllm
setup-vllm: $(VLLM_STAMP) ## Install a vLLM for machines without a GPU into .venv-vllm (3.5 GB)

.PHONY: setup-clients
setup-clients: $(CLIENTS_STAMP) ## Install the generators of clients that a test drives into .venv-clients (50 MB)
.PHONY: setup-bench
setup-bench: $(BENCH_STAMP) ## Install what benchmarks compare with into .venv-bench: torch and others (2 GB)

.PHONY: setup-load
setup-load: $(LOAD_STAMP) ## Install the generator of load into .venv-load: Locust (70 MB)
.PHONY: setup-docs
setup-docs: $(DOCS_STAMP) ## Install what builds the site into .venv-docs (170 MB)

.PHONY: run
run: setup ## Serve on 127.0.0.1:8000, everything in one process, with demo data (and `make run-llm`)
	@if [ -z "$${LETHE_LLM__BASE_URL:-}" ] && (: </dev/tcp/127.0.0.1/8001) 2>/dev/null; then \
	    export LETHE_LLM__BASE_URL=http://127.0.0.1:8001 LETHE_LLM__MODEL=smollm2; \
	fi; exec $(BIN)/lethe serve --demo

.PHONY: run-llm
run-llm: setup setup-vllm ## Serve a small real language model on 127.0.0.1:8001, which `make run` then finds
	@exec $(BIN)/python -m benchmarks.llm.served

.PHONY: migrate
migrate: setup ## Bring the database of LETHE_DATABASE__URL up to date
	@$(BIN)/lethe migrate
.PHONY: env
env: ## Write .env with fresh secrets for docker compose
	@.ci/new-env
.env:
	@.ci/new-env

.PHONY: up
up: setup .env ## Start what docker-compose.yml says, without Docker (COMPOSE_PROFILES=cpu: and a model)
	@$(BIN)/python -m tests.servers.up up
.PHONY: ps
ps: setup ## Show what `make up` has started
	@$(BIN)/python -m tests.servers.up ps
.PHONY: down
down: setup ## End it (DOWN_ARGS=--volumes: and delete what it has kept)
	@$(BIN)/python -m tests.servers.up down $(DOWN_ARGS)

.PHONY: check
check: lint types contracts test ## Everything CI checks
.PHONY: lint
lint: setup-dev ## Style and likely mistakes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
.PHONY: types
types: setup-dev ## Types, strictly
	@$(BIN)/mypy
.PHONY: contracts
contracts: setup-dev ## The floors: who may import whom
	@$(BIN)/lint-imports --no-cache
.PHONY: test
test: setup-dev ## All tests; servers that are missing are named (LETHE_REQUIRE_SERVICES=1: fail)
	@# A third process on two cores: two of them often wait for a process that was killed.
	@$(BIN)/python -m pytest -n 3 $(PYTEST_ARGS)
.PHONY: test-fast
test-fast: setup-dev ## The tests of pure code and of the rules: no server, no process, seconds
	@$(BIN)/python -m pytest --durations=3 tests/unit tests/architecture $(PYTEST_ARGS)
.PHONY: test-random
test-random: setup-dev ## The tests of laws, with seeds of their own each time and many more cases
	@$(BIN)/python -m pytest --hypothesis-profile=random -m hypothesis $(PYTEST_ARGS)
.PHONY: test-bench
test-bench: setup-bench ## The tests of the benchmarks that need torch
	@.venv-bench/bin/python -m pytest -m torch -n 0 tests/benchmarks $(PYTEST_ARGS)
.PHONY: coverage
coverage: setup-dev ## The tests again, with the lines and branches that none of them reaches
	@$(BIN)/python -m pytest --cov --cov-report=term $(PYTEST_ARGS)
.PHONY: fmt
fmt: setup-dev ## Format, and repair what can be repaired by machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
.PHONY: docs
docs: setup-dev ## Make the pages that are made from the code
	@$(BIN)/python -m tests.architecture.settings_page
	@$(BIN)/python -m tests.api.access_table
	@$(BIN)/python -m tests.architecture.decisions_page
	@$(BIN)/python -m tests.architecture.export_schema
	@$(BIN)/python -m tests.architecture.figures_page
	@$(BIN)/python -m tests.architecture.extending_page
	@$(BIN)/python -m tests.unit.verifier.refusals
.PHONY: wheel
wheel: setup-dev ## Build the wheel, serve from it alone, and walk through the README's tour
	@.ci/wheel
.PHONY: site
site: setup-dev setup-docs ## Build the site into build/site; needs no network, and no warning is let through
	@$(BIN)/python -m tests.architecture.api_page
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	@echo build/site/index.html

.PHONY: lock
lock: setup-dev ## Choose versions anew, none younger than COOL_DOWN (P3D: three days)
	@echo 'setuptools>=80' | $(COMPILE) pyproject.toml - -o requirements.lock
	@$(COMPILE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	@$(COMPILE) requirements-bench.in pyproject.toml --extra dev -c requirements-dev.lock \
	    -o requirements-bench.lock
	@$(COMPILE) requirements-clients.in -o requirements-clients.lock
	@$(COMPILE) requirements-docs.in -o requirements-docs.lock
	@$(COMPILE) requirements-load.in -o requirements-load.lock
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --exclude-newer $(COOL_DOWN) \
    --generate-hashes --no-header --no-annotate --no-emit-index-url

.PHONY: chaos
chaos: setup-dev ## 1,000 erasures while everything under them breaks (CHAOS_ARGS: --requests, --minutes)
	@$(BIN)/python -m benchmarks.chaos.run $(CHAOS_ARGS)
.PHONY: race
race: setup-dev ## 10,000 recommendations around 200 forgets
	@$(BIN)/python -m benchmarks.chaos.race
.PHONY: topic
topic: setup-dev ## Forget "Star Wars" for 50 of MovieLens 100K, and send everything again after 100 forgets
	@$(BIN)/python -m benchmarks.forgetting.topic $(TOPIC_ARGS)
.PHONY: bench-erasure
bench-erasure: setup-dev ## What is left of a user on disk after each way of erasing (PEERS=1: more)
	@$(BIN)/python -m benchmarks.erasure.run $(if $(PEERS),--peers)

.PHONY: bench-unlearning
bench-unlearning: setup-bench ## Every method that unlearns beside ours, an hour (LETHE_MOVIELENS_DIR; UNLEARNING_ARGS: --grid, --jobs)
	@.venv-bench/bin/python -m benchmarks.unlearning.run --jobs 2 $(UNLEARNING_ARGS)
	@.venv-bench/bin/python -m benchmarks.unlearning.report
.PHONY: bench-load
bench-load: setup-dev setup-load ## How many requests a second `make up` carries, and each component restarted under load
	@$(BIN)/python -m benchmarks.load.run
	@$(BIN)/python -m benchmarks.load.restarts
.PHONY: bench-hundred
bench-hundred: setup-dev ## A hundred erasures, each store searched before and after; goes on where it stopped
	@$(BIN)/python -m benchmarks.erasure.hundred

.PHONY: clean
clean: ## Remove environments, stamps and caches; never data
	@rm -rf .venv .venv-vllm .venv-clients .venv-bench .venv-docs .venv-load .make .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf build dist *.egg-info .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_STAMP): LOCK = requirements.lock
$(DEV_STAMP): LOCK = requirements-dev.lock
$(RUN_STAMP) $(DEV_STAMP): .venv/pyvenv.cfg
	@rm -f .make/run-* .make/dev-*
	@.ci/install .venv $(LOCK) --with-project
	@mkdir -p .make && touch $@

$(VLLM_STAMP): .venv-vllm/pyvenv.cfg
	@.ci/install .venv-vllm requirements-vllm.lock
	@mkdir -p .make && touch $@

$(CLIENTS_STAMP): .venv-clients/pyvenv.cfg
	@.ci/install .venv-clients requirements-clients.lock
	@mkdir -p .make && touch $@

$(LOAD_STAMP): .venv-load/pyvenv.cfg
	@.ci/install .venv-load requirements-load.lock
	@mkdir -p .make && touch $@

$(DOCS_STAMP): .venv-docs/pyvenv.cfg
	@.ci/install .venv-docs requirements-docs.lock
	@mkdir -p .make && touch $@

$(BENCH_STAMP): .venv-bench/pyvenv.cfg
	@.ci/install .venv-bench requirements-bench.lock --with-project
	@mkdir -p .make && touch $@

.venv/pyvenv.cfg .venv-vllm/pyvenv.cfg .venv-clients/pyvenv.cfg .venv-bench/pyvenv.cfg .venv-docs/pyvenv.cfg .venv-load/pyvenv.cfg:
	@$(BASE_PYTHON) -m venv $(@D)
