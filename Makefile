# Every target does its own set-up. All that is needed is Python 3.11 or newer: make test, or make PYTHON=python3.12 test.
PYTHON ?= python3
# Passed on to pytest or the benchmark: make test ARGS="-k echo"
ARGS ?=
# make demo QUICK=1 is the short form, make demo SEEDS=3 trains each algorithm three times.
QUICK ?=
SEEDS ?=

comma := ,
.DEFAULT_GOAL := help
.PHONY: help demo test check format bench test-oldest test-rllib clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

# $(call install,FOLDER,CONSTRAINTS,EXTRAS): a virtual environment with this checkout in it, editable.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo 'StateSet Gym needs Python 3.11 or newer, but PYTHON=$(PYTHON) is' "$$($(PYTHON) --version 2>&1)." \
	'Name a newer one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo 'Setting up $(1), once: this takes some minutes.'
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check -c $(2) -e '.[$(3)]'
endef

# Brought up to date when what it was made from has changed.
.venv/installed: pyproject.toml setup.cfg constraints.txt
	$(call install,.venv,constraints.txt,dev$(comma)all)
	@touch $@

.venv-oldest/installed: pyproject.toml setup.cfg constraints.txt
	@mkdir -p .venv-oldest
	@oldest=$$(sed -n 's/.*"gymnasium>=\([0-9.]*\)".*/\1/p' pyproject.toml) && \
	sed "s/^gymnasium==.*/gymnasium==$$oldest/" constraints.txt > .venv-oldest/constraints.txt
	$(call install,.venv-oldest,.venv-oldest/constraints.txt,dev$(comma)render$(comma)openai$(comma)anthropic$(comma)compare)
	@touch $@

demo: .venv/installed ## compare ten algorithms on CustomerService (QUICK=1: in short, SEEDS=3: three times each)
	.venv/bin/python -m stateset_gym compare examples/demo$(if $(filter-out 0,$(QUICK)),_quick).yaml \
	$(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

test: .venv/installed ## run the tests
	.venv/bin/python -m pytest -n 2 $(ARGS)

# All but the tests of the packaging and those that need torch or Ray, so that a new test is never forgotten here.
test-oldest: .venv-oldest/installed ## run the tests on the oldest gymnasium that is supported
	.venv-oldest/bin/python -m pytest -n 2 --ignore tests/test_imports.py --ignore tests/test_package.py --ignore tests/models $(ARGS)

.venv-rllib/installed: pyproject.toml setup.cfg constraints.txt
	@mkdir -p .venv-rllib
	@sed "s/^gymnasium==.*/gymnasium==1.2.2/" constraints.txt > .venv-rllib/constraints.txt
	$(call install,.venv-rllib,.venv-rllib/constraints.txt,dev$(comma)rllib)
	@touch $@

test-rllib: .venv-rllib/installed ## run the tests of RLlib, which needs an older gymnasium than the rest
	.venv-rllib/bin/python -m pytest tests/models/test_rllib.py tests/models/test_ray.py $(ARGS)

# The type checker takes a package's name from its folder, and a checkout may have any name: show it a link.
check: .venv/installed ## format, lint, types, import directions, wheel contents
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m ruff check .
	@link=$$(mktemp -d) && trap 'rm -r "$$link"' EXIT && ln -s '$(CURDIR)' "$$link/stateset_gym" && cd "$$link" && \
	'$(CURDIR)/.venv/bin/python' -m mypy --config-file stateset_gym/pyproject.toml \
	--cache-dir stateset_gym/.mypy_cache -p stateset_gym
	.venv/bin/python -m pytest -q tests/test_imports.py tests/test_package.py

format: .venv/installed ## format the sources and mend what the linter can
	.venv/bin/python -m ruff format .
	.venv/bin/python -m ruff check --fix .

bench: .venv/installed ## measure the speed of environments beside CartPole's, of evaluations, local models and training
	.venv/bin/python benchmarks/env_speed.py $(ARGS)
	.venv/bin/python benchmarks/evaluation_speed.py
	.venv/bin/python benchmarks/local_policy.py
	.venv/bin/python benchmarks/lm_training.py

clean: ## remove the virtual environments and everything that was built
	rm -rf .venv .venv-oldest .venv-rllib build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
