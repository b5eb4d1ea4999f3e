.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
SCENARIO ?= all
ARGS ?=

# Python may keep the bytecode it compiles: every process of the stack starts from it.
unexport PYTHONDONTWRITEBYTECODE

help:  ## say what can be done here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# Set-up: pip installs only the installer, by hash; uv installs the rest, by hash.
.venv/bin/uv: requirements/installer.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Darkroom needs Python 3.11 or later; choose one with PYTHON=python3.x"; exit 2; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.txt
	@touch $@

.venv/.embedded: requirements/embedded.txt .venv/bin/uv
	@echo "installing what the stack needs"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/embedded.txt
	@touch $@

.venv/.dev: requirements/dev.txt .venv/bin/uv
	@echo "installing what the tests need"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@ .venv/.embedded

demo: .venv/.embedded  ## run one job on the whole stack and leave its pictures in out/ (ARGS=request.json)
	@$(BIN)/python -m deploy.embedded.demo $(ARGS)

up: .venv/.embedded  ## start the whole stack: Temporal, gateway, worker, emulators
	@$(BIN)/python -m deploy.embedded.stack

test: .venv/.dev  ## run every test but the chaos suite
	@$(BIN)/python -m tests $(ARGS)

test-chaos: .venv/.dev  ## kill, cut and fill a running stack; one line a scenario
	@$(BIN)/python -m tests tests/chaos --no-header --quiet $(ARGS)

check: .venv/.dev  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

bench: .venv/.dev  ## measure (SCENARIO=throughput|event_latency|differentiation|...)
	@$(BIN)/python -m bench $(SCENARIO) $(ARGS)

replay: .venv/.dev  ## replay every recorded history against today's workflows
	@$(BIN)/python -m tests tests/replay

record-history: .venv/.dev  ## record one history of every end state into tests/replay/histories
	@$(BIN)/python -m tests.replay.record

migrate: .venv/.embedded  ## bring a database to this version (URL=postgresql://...)
	@$(BIN)/python -m darkroom.store.migrate $(URL)

docs: .venv/.dev  ## redraw the parts of docs/ that are made from the code
	@$(BIN)/python -m tests.architecture.draw

requirements: .venv/bin/uv  ## pin every dependency again, by hash
	@for part in "runtime:" "embedded:--extra embedded" "dev:--extra dev --extra embedded"; do \
	  $(BIN)/uv pip compile pyproject.toml $${part#*:} --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --custom-compile-command "make requirements" --quiet -o requirements/$${part%%:*}.txt; done

.PHONY: help demo up test test-chaos check bench replay record-history migrate docs requirements
