# The one interface to the chores. `make` alone lists them; `make PYTHON=python3.12 VENV=.venv-312 test` chooses the
# Python and the virtual environment.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
# Anything: `make test slow COVERAGE=1` counts the lines that the tests of both pass through.
COVERAGE ?=
MUTATE_ARGS ?= datastoresync/diffing --tests tests/diffing tests/test_laws.py

BIN := $(VENV)/bin
# One more than there are processors, as some of them wait for servers; four at most.
WORKERS := $(shell cores=$$(getconf _NPROCESSORS_ONLN); [ $$cores -lt 4 ] && expr $$cores + 1 || echo 4)
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal
DEMO := examples/airports/sync.py
BENCHMARKS := $(shell grep -ls __main__ benchmarks/*.py)
EXAMPLES := $(wildcard examples/*.py examples/*/*.py)
SAMPLES := $(wildcard tests/typing/*.py)

CLIENTS := CLIENTS=$(abspath $(VENV)-clients) CLIENTS_OLD=$(abspath $(VENV)-clients-old)

# -qq hides pip's warnings, never its errors.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input

# Where Python is told to keep nothing that it compiled, each of the many processes that tests start would compile anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test slow clients mutate check compiled lint types samples layers bench docs site format clean

help: ## list these targets
	@echo "usage: make TARGET"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed-demo ## sync two years of airports into a PostgreSQL that it starts itself
	@$(BIN)/python $(DEMO)

test: $(VENV)/.installed-test ## check, then run the quick tests
	@$(MAKE) --no-print-directory -j2 --output-sync check compiled
	@$(PYTEST) --hypothesis-profile quick -m "not slow" $(if $(COVERAGE),--cov --cov-report= --cov-fail-under=0) $(PYTEST_ARGS)

slow: $(VENV)/.installed-test $(VENV)-clients/.installed $(VENV)-clients-old/.installed ## run what is slow: with servers, Spark, a browser, and laws with more examples
	@$(CLIENTS) $(PYTEST) --hypothesis-profile ci -m "slow or hypothesis" $(if $(COVERAGE),--cov --cov-append) $(PYTEST_ARGS)

clients: $(VENV)/.installed-test $(VENV)-clients/.installed $(VENV)-clients-old/.installed ## run clients of diffsync on our vocabulary
	@$(CLIENTS) $(BIN)/python -m pytest -q tests/clients $(PYTEST_ARGS)

mutate: $(VENV)/.installed-test ## change one place of the code after the other, and say which changes no test notices
	@$(BIN)/python tools/mutate.py $(MUTATE_ARGS)

check: types samples lint layers ## lint, types and layers, without running a test

# Else each worker of pytest-xdist would compile all tests; this takes the processor that `check` leaves idle. A test that
# cannot be collected is told of by `test`.
compiled: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -qq --collect-only >/dev/null || true

lint: $(VENV)/.installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	@$(BIN)/mypy datastoresync $(if $(SAMPLES),tests/typing) $(if $(EXAMPLES),examples)

samples: $(VENV)/.installed-test
	@$(if $(SAMPLES),$(BIN)/pyright --pythonpath $(BIN)/python)

layers: $(VENV)/.installed-test
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/.installed-bench ## measure against the peers, one script of benchmarks/ after the other
	@$(if $(BENCHMARKS),,echo "benchmarks/ has no scripts")
	@for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

docs: $(VENV)/.installed-test ## check the documentation: links, anchors, and every example, by running it
	@$(BIN)/python -m pytest -q datastoresync tests/test_house.py tests/test_howtos.py
	@echo "start reading at README.md; the rest is in docs/"

site: $(VENV)/.installed-test ## build the documentation's pages into build/site
	@$(BIN)/sphinx-build -q -W --keep-going docs build/site
	@echo "open build/site/index.html"

format: $(VENV)/.installed-test ## lay the code out as lint wants it
	@$(BIN)/ruff format .

clean: ## remove what these targets made
	rm -rf $(VENV) .venv .venv-* build dist *.egg-info .coverage* htmlcov
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- virtual environments: a stamp a set of extras, so that a second run installs nothing -----------------------

$(VENV)/.installed-demo: EXTRAS := demo
$(VENV)/.installed-test: EXTRAS := test,check
$(VENV)/.installed-bench: EXTRAS := bench

$(VENV)/.installed-%: setup.cfg pyproject.toml | $(VENV)/.created
	@echo "installing datastoresync[$(EXTRAS)] into $(VENV); the first time this takes a minute or two"
	@$(PIP_INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

# The clients' own packages come without what they depend on, as most of that is large; see tests/clients.
$(VENV)-clients/.installed $(VENV)-clients-old/.installed: $(VENV)-clients%/.installed: tests/clients/requirements%.txt tests/clients/clients.txt
	@echo "installing the clients of tests/clients into $(@D)"
	@"$(PYTHON)" -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-input -r $<
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-deps -r tests/clients/clients.txt
	@touch $@

$(VENV)/.created:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "no $(PYTHON) here; name a Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "datastoresync needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" -V 2>&1);" \
		"name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@
