# Python 3.11 or newer and make are all that this needs; `make PYTHON=python3.13 test`.
# OPTIONS are pytest's.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
SITE ?= build/site
# VENV/demo, VENV/test and VENV/dev are stamps; each set holds the one before it.
PIP = $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
PYTEST = $(abspath $(VENV))/bin/python -m pytest -n $(WORKERS) $(OPTIONS)

.DELETE_ON_ERROR:
.PHONY: help demo test faults coverage lint typing docs site errors check benchmark clean

help:
	@echo "make demo       an example's suite on SQLite and on an embedded PostgreSQL"
	@echo "make test       the whole suite, on all that this machine has"
	@echo "make faults     runs in which something dies, and runs of many workers (minutes)"
	@echo "make check      lint, typing and test"
	@echo "make coverage   the whole suite, measured"
	@echo "make docs       every code block of README and docs/, and the site"
	@echo "make site       the documentation as a site, in $(SITE)"
	@echo "make benchmark  ms per test, against what people use today"
	@echo "make clean      remove $(VENV) and what the tools left"

demo: $(VENV)/demo
	cd examples/blog && $(PYTEST) --asyncdb=sqlite
	cd examples/blog && $(PYTEST) --asyncdb=postgresql@embedded

test: $(VENV)/test
	$(PYTEST)

coverage: $(VENV)/test
	rm -f .coverage .coverage.*
	$(VENV)/bin/python -m coverage run -m pytest -n $(WORKERS)
	$(VENV)/bin/python -m coverage combine --quiet
	$(VENV)/bin/python -m coverage report

faults: $(VENV)/test
	$(PYTEST) tests/faults/test_faults.py
	$(VENV)/bin/python -m pytest tests/faults/test_scale.py tests/clusters

docs: $(VENV)/test site
	$(PYTEST) tests/docs

# Every warning fails: a page that no menu names, a link or an anchor that leads nowhere.
site: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict --site-dir $(abspath $(SITE))

errors: $(VENV)/test
	$(VENV)/bin/python .ci/errors_page.py

lint: $(VENV)/dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

typing: $(VENV)/dev
	$(VENV)/bin/mypy

check: lint typing test

benchmark: $(VENV)/test
	$(VENV)/bin/python -m benchmarks.isolation

# A stamp is older than what it was built from: then the environment is brought up to
# date, not made anew.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is not Python 3.11 or newer: make PYTHON=... $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25.1"

$(VENV)/demo: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable ".[all]" --group demo
	touch $@

$(VENV)/test: pyproject.toml $(VENV)/demo | $(VENV)/bin/python
	$(PIP) install --editable ".[all]" --group test
	touch $@

$(VENV)/docs: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable . --group docs
	touch $@

$(VENV)/dev: pyproject.toml $(VENV)/test | $(VENV)/bin/python
	$(PIP) install --editable ".[all]" --group dev
	touch $@

clean:
	rm -rf $(VENV) build .tox .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache dist
