# make demo and make test are all that a newcomer needs; both install what they need first, once.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
VENDOR := catalog/api/static/vendor/.fetched
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-edc tck interop assets clean system

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(VENV)/.demo ## Run the story: a small data space on real data, publish to audit
	@$(MAKE) -s --no-print-directory $(VENDOR) || echo "The web pages will be plain: their style sheet could not be fetched (see above). All else works."
	@$(BIN)/hansa demo $(ARGS)

test: system $(VENV)/.test $(VENDOR) ## Run every test (ARGS="-k word" for some)
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.test ## Lint, format, types, import contracts, no text of queries
	@failed=""; for tool in "ruff check ." "ruff format --check ." "mypy" "lint-imports" "python -m pytest -q tests/unit/test_no_query_text.py"; do \
	    echo "== $$tool"; $(BIN)/$$tool || failed="$$failed [$$tool]"; \
	done; test -z "$$failed" || { echo "make check: failed:$$failed"; exit 1; }

bench: $(VENV)/.test ## Print measurements beside those of peers
	@$(BIN)/python -m tests.bench $(ARGS)

bench-edc: system $(VENV)/.test ## Print Hansa beside Eclipse EDC (ARGS="--write": keep it in tests/bench)
	@$(BIN)/python -m tests.bench.edc $(ARGS)

tck: system $(VENV)/.test ## Run the official conformance kits (ARGS="--runs 20 --database sqlite")
	@$(BIN)/python -m tests.interop.tck $(ARGS)
	@$(BIN)/python -m pytest -q tests/interop/test_dps.py

interop: system $(VENV)/.test $(VENDOR) ## Trade with a real Eclipse EDC, both ways (ARGS="-k word" for some)
	@$(BIN)/python -m pytest tests/interop/edc tests/interop/test_maven.py $(ARGS)

assets: $(VENDOR) ## Fetch the style sheet and scripts of the web pages

clean: ## Remove what was built, the virtual environment and the fetched assets included
	rm -rf $(VENV) build dist connector/api/static/vendor catalog/api/static/vendor tests/vendor
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

system:
	@sh .ci/debian python3-venv postgresql chromium libatomic1 docker-compose default-jdk-headless maven

# Stamps: a second run finds them newer than what they were made from, and is instant.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and no python3 was found. On Debian: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Say which to use: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { sh .ci/debian python3-venv && echo "Making the virtual environment $(VENV) ..." && $(PYTHON) -m venv $(VENV); }
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	@sh .ci/install $(VENV) demo
	@$(BIN)/hansa demo --prepare
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	@sh .ci/install $(VENV) demo,test,dev
	@touch $@ $(VENV)/.demo

$(VENDOR): assets.py | $(VENV)/.made
	@$(BIN)/python assets.py
