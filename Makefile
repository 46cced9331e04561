# `make help` lists what there is. Everything lives in .venv; nothing is installed outside this folder but by `services`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The files name the whole closure, so nothing is left to resolve (and a release made today cannot upset an install).
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
# By uv, itself pinned, which takes a fifth of pip's time; by pip where uv finds no way to the index.
install = sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt >$(VENV)/uv.txt && $(PIP) -r $(VENV)/uv.txt \
	&& $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --no-deps -r $(1) || $(PIP) -r $(1)
PINS := $(BIN)/uv pip compile --quiet --python-version 3.11.0 --generate-hashes --no-emit-index-url --no-header --no-annotate
TESTS ?= tests
ARGS ?=
JOBS ?= 4
BROWSERS ?= 2
MARKS ?= not load and not chaos and not clients and not browser

.DEFAULT_GOAL := help
.PHONY: help setup run lint format test test-most test-browser test-load chaos try-nodes test-clients fuzz services bench bench-full bench-peers bench-console bench-usage lighthouse docs pins

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(VENV)/.run-stamp ## serve on :3000 (or PORT); the first time this installs what is needed
	@exec $(BIN)/python manage.py serve

setup: $(VENV)/.dev-stamp ## install what working on the code needs

$(BIN)/python:
	@for python in $(PYTHON) python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv $(VENV) && exit 0; \
			echo "Python cannot make a virtual environment here; on Debian: apt-get install python3-venv" >&2; exit 1; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1

$(VENV)/.run-stamp: requirements.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing what requirements.txt names; once, half a minute at most."
	@$(call install,requirements.txt)
	@touch $@

$(VENV)/.dev-stamp: requirements.txt requirements-dev.txt | $(BIN)/python
	@$(call install,requirements-dev.txt)
	@touch $@ $(VENV)/.run-stamp

lint: setup ## everything that is checked without running the program
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint --quiet --lint templates
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

format: setup ## put the code into the house's form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

test: setup test-most $(if $(filter tests,$(TESTS)),test-browser test-load) ## the test suite, Django on TEST_DATABASE (sqlite, postgres, mysql)

# A file of tests stays together, so that what a module starts is started once. In the order of their names: sorted by
# their number of tests, files of a few long ones would come last, and one worker would be at work alone.
test-most: setup ## the suite but for browsers and for what wants the machine to itself, JOBS at a time; TESTS=path for a part
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "$(MARKS)" $(ARGS) $(TESTS)

# By itself, since Chromium's driver keeps an event loop, beside which asynchronous tests cannot run.
test-browser: setup ## the console's pages in Chromium, BROWSERS at a time
	$(BIN)/python -m pytest -n $(BROWSERS) --dist loadgroup -m browser $(ARGS) tests/browser

test-load: setup ## servers under load: two files at a time, and then those with bounds in seconds one after the other
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "load and not timed" $(ARGS) tests/acceptance
	$(BIN)/python -m pytest -m "load and timed" $(ARGS) tests/acceptance

chaos: setup ## faults under load, ROUNDS times over (docs/reliability.md); CHAOS=short as in CI
	CHAOS_REPORT=$${CHAOS_REPORT-artefacts/chaos.json} $(BIN)/python -m pytest -m chaos $(ARGS) tests/chaos

try-nodes: setup ## two nodes behind nginx, on PostgreSQL and Redis, killed and restarted under traffic; ARGS=--short for a minute
	@deploy/try-nodes $(ARGS)

test-clients: setup ## Claude Code, Codex, Gemini CLI, OpenCode, Aider and SDKs against the gateway; wants npm and go
	@tests/clients/install.sh
	$(BIN)/python -m pytest $(ARGS) -m clients tests/clients

fuzz: setup ## look for inputs that break what reads what others sent, SECONDS for each kind (60); atheris, on Linux
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m pip install --quiet atheris==3.0.0
	for target in sse form json request answer; do $(BIN)/python -m tests.fuzz $$target -max_total_time=$(or $(SECONDS),60) || exit 1; done

services: ## install and start PostgreSQL, MariaDB, Redis, Chromium, wrk and nginx on this machine (Debian, root)
	@.ci/services

bench: setup ## calls, streams, billing tax and fixed rates beside the floor, in six minutes; see docs/performance.md
	$(BIN)/python -m bench $(ARGS)

bench-full: setup ## the same, then memory over 200,000 calls and with 10,000 slow streams
	$(BIN)/python -m bench --full $(ARGS)

bench-peers: setup ## floor and gateway beside LiteLLM and Portkey, which it installs in a temporary folder; wants npm
	$(BIN)/python -m bench --peers --only plain,streams --connections 32,128 --streams 100 --databases sqlite $(ARGS)

bench-console: setup ## how long the console's pages take over full tables (a million log rows); see docs/performance.md
	$(BIN)/python -m bench.pages

lighthouse: setup ## Lighthouse's verdict on home, login, dashboard and channels; wants npm and Chromium
	$(BIN)/python -m bench.lighthouse $(ARGS)

bench-usage: setup ## how long charts of a year over everybody take (ten million calls); see docs/performance.md
	$(BIN)/python -m bench.usage

docs: setup ## build the documents' site into site/, links checked; and see that pages and program say the same
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python -m pytest -q tests/config/test_documentation.py tests/documents/test_site.py tests/documents/test_commands.py

pins: setup ## after a change of requirements.in or requirements-dev.in: write the exact versions
	$(PINS) requirements.in -o requirements.txt
	$(PINS) requirements-dev.in -c requirements.txt -o requirements-dev.txt
