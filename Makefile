# On a fresh machine two commands do everything: `make demo` shows a running store, `make test` tries to break one.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

# pip reads these too when it builds the project itself; which of the two depends on its age.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-live lint bench soak schema clean

help:
	@echo 'make demo    a store on this machine: hub, daemon, virtual labels, tills, orders, staff page'
	@echo 'make test    the whole test run, with Mosquitto, PostgreSQL, Chromium, D-Bus and cc (installed when you are root)'
	@echo 'make test-live  the connectors against real commerce systems; needs Node.js and npm'
	@echo 'make lint    ruff, mypy and the import rules'
	@echo 'make bench   one JSON line per figure; ONLY="name name" for some of them'
	@echo 'make soak    the long runs'
	@echo 'make setup   only the environment in .venv; make clean removes it again'

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo '$(PYTHON) is older than 3.11: install a newer one and run make PYTHON=python3.11'; exit 1; }
	@if [[ ! -x $(RUN) ]]; then \
		$(PYTHON) tests/needs.py install venv; \
		echo 'Making the environment in $(VENV)'; \
		$(PYTHON) -m venv $(VENV); \
	fi
	@echo 'Installing the pinned packages into $(VENV); a minute or two the first time'
	@$(RUN) -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	@exec $(VENV)/bin/trastienda demo $(ARGS)

test: setup
	@$(PYTHON) tests/needs.py install
	$(RUN) -m pytest -n 2 --dist loadgroup $(ARGS)

test-live: setup
	$(RUN) -m tests.live.install
	$(RUN) -m pytest -m live -n 0 $(ARGS)

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

bench: setup
	@$(RUN) -m pip install --quiet -c constraints.txt -e '.[dev,bench]'
	@$(RUN) -m tests.bench $(ONLY)

soak: setup
	$(RUN) -m pytest -m soak --timeout 0 $(ARGS)

schema: setup
	@$(RUN) -m edge.settings_schema config/schema/store.schema.json

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
