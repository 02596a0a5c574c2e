# trialkb: `make demo` runs the main job on the embedded registry, `make test` all checks.
# Needs Python 3.11 or newer (with venv and pip), make and git; downloads from the package index only.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin

# The interpreter: `make PYTHON=/path/to/python3.12 setup`, else the first that is new enough and can make
# an environment. 3.11 comes first, since the lock was made with it.
PYTHON ?=
CANDIDATES := $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python

.PHONY: help setup demo test lint format readme lock cassettes-live bench clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: .venv/project.stamp ## Create .venv from the lock file and install the project in it

# Made again only when the lock changes.
.venv/lock.stamp: requirements.lock
	@found=""; \
	for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	  then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "trialkb needs Python 3.11 or newer with venv and pip (tried: $(strip $(CANDIDATES)));" \
	       "install it (Debian: python3.11 python3.11-venv) or say make PYTHON=/path/to/python setup" >&2; exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ]; then echo "creating .venv with $$found"; "$$found" -m venv .venv; fi; \
	echo "installing the locked packages"; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r requirements.lock
	@touch $@

# The build backend comes from the lock, so nothing is downloaded here.
.venv/project.stamp: .venv/lock.stamp pyproject.toml
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-build-isolation --no-deps --no-index -e .
	@touch $@

demo: setup ## Run the main job on the embedded registry, into demo-output/
	@$(BIN)/trialkb demo --output demo-output

test: setup lint ## Run all checks and all tests
	@$(BIN)/pytest

lint: setup ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## Format the code
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

readme: setup ## Write the output blocks of README.md anew from a run of the demo
	@$(BIN)/python -m tests.readme_blocks

lock: ## Make requirements.lock anew from pyproject.toml, keeping pinned versions where they still fit
	@test -x $(BIN)/pip-compile || $(MAKE) setup
	@$(BIN)/pip-compile --quiet --generate-hashes --extra dev --strip-extras --allow-unsafe --no-header \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements.lock pyproject.toml

cassettes-live: setup ## Record the transport cassettes anew from the real hosts (needs the internet)
	@$(BIN)/python -m tests.harvest.record_cassettes live

bench: setup ## Run the benchmarks; each prints its own table
	@for script in benchmarks/*.py; do \
	  case $$script in */__init__.py|*crash*) continue;; esac; \
	  echo "== $$script"; $(BIN)/python $$script; \
	done

clean: ## Remove the environment and everything made
	@rm -rf .venv demo-output dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
