# One word per job. `make setup` first; everything else does it when needed.

VENV   := .venv
BIN    := $(VENV)/bin
# The newest Python that is here, if `python3` itself is too old.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
UV     := $(shell command -v uv 2>/dev/null)
PYTEST  = $(BIN)/pytest $(ARGS)
FAST    = not slow and not broker and not browser
# Tests of whole services: two files of them at a time, and nothing else beside them.
HOUSES  = tests/integration tests/browser

.DEFAULT_GOAL := help
.PHONY: help setup demo up test fast lint check docs lock bench kafka kafka-jars clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(VENV)/.complete ## .venv with everything in it, exactly as locked

# The stamp is written last, so that a set-up that was interrupted is done again.
$(VENV)/.complete: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Qist needs Python 3.11 or newer (Debian: apt install python3 python3-venv)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt install python3-venv)"; exit 1; }
ifneq ($(UV),)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endif
	@touch $@

demo: setup ## months of a portfolio's life in a minute, on this machine
	$(BIN)/qist demo $(ARGS)

up: setup ## everything on this machine, until Ctrl-C
	$(BIN)/qist up $(ARGS)

test: setup ## all tests: fast ones, on embedded services, on Apache Kafka, in the browser
	@status=0; \
	$(PYTEST) -n auto $(foreach folder,$(HOUSES),--ignore=$(folder)) || status=1; \
	$(PYTEST) -n 2 --dist loadfile $(HOUSES) || status=1; \
	exit $$status

fast: setup ## the tests that need no broker and no browser, in under two minutes
	$(PYTEST) -n auto -m "$(FAST)"

lint: setup ## style, import arrows, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

check: lint docs test ## all that decides whether a change may go in: nothing generated may have drifted
	git diff --exit-code -- docs

docs: setup ## write the generated pages anew
	$(BIN)/python -m adapters.pages

LOCK = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command "make lock"

lock: ## choose the newest versions that pyproject.toml allows, and write them down
	@command -v uv >/dev/null || { echo "make lock needs uv"; exit 1; }
	$(LOCK) --upgrade --extra dev --output-file requirements.lock
	$(LOCK) --constraint requirements.lock --output-file requirements-run.lock

bench: setup ## how fast it is here
	$(BIN)/qist bench $(ARGS)

kafka: setup ## Apache Kafka in the foreground (needs Java 17 and Maven)
	$(BIN)/python -m adapters.embedded.kafka

kafka-jars: setup ## only fetch Apache Kafka's jars
	$(BIN)/python -m adapters.embedded.kafka --fetch-only

clean: ## remove what `make setup` and `make kafka` brought
	rm -rf $(VENV) ops/kafka/jars
