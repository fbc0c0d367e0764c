# One verb each; `make` alone lists them. Every verb brings what it needs up to date first, and may run beside another.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# The first Python that is new enough and really runs (a shim without a version behind it does not).
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$name; break; fi; done)
IMAGE ?= modelramp:dev
BASE ?=
RUNG ?=
ARGS ?=
VENV := .venv/bin
CLUSTER = $(PYTHON) hack/cluster

# Read by the demo and the tests.
export CONTEXT KEEP

.PHONY: help
help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  RUNG=check|pure|loopback|coverage|apiserver|cluster make test      one rung of the ladder'
	@echo '  KEEP=1 make test              leave the cluster running     CONTEXT=name make demo   on your own cluster'
	@echo '  ARGS="--fake-nodes 50" make cluster-up                      PYTHON=python3.12 make … another Python'

.PHONY: python
python:
	@if [ -z '$(PYTHON)' ]; then \
	  echo 'error: no Python 3.11 or newer is on the PATH; install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; fi

.PHONY: venv
venv: python ## .venv from the lock, with modelramp installed from its wheel
	@$(PYTHON) hack/ensure_venv.py

.PHONY: check
check: venv ## format, lint, types, import contracts, generated files
	@$(VENV)/python hack/test.py check

.PHONY: test
test: venv ## the whole ladder: check, pure, loopback, coverage, apiserver, cluster
	@$(VENV)/python hack/test.py $(RUNG)

.PHONY: demo
demo: venv ## watch a model being rolled out on a real cluster
	@$(VENV)/python hack/demo $(ARGS)

.PHONY: cluster-up
cluster-up: python ## start the local cluster, building what is missing
	@$(CLUSTER) up $(ARGS)

.PHONY: cluster-down
cluster-down: python ## stop the local cluster and leave nothing behind
	@$(CLUSTER) down $(ARGS)

.PHONY: bars
bars: venv ## measure by simulation what the evidence promises, and write docs/bars.md
	@$(VENV)/python hack/bars $(ARGS)

.PHONY: docs
docs: venv ## write the generated files again: CRD, its copy in the chart, tables and diagram in docs/
	@$(VENV)/python hack/generate.py
	@cp crds/modelramp.io_mlmodeldeployments.yaml charts/modelramp/files/crd.yaml

.PHONY: bench
bench: venv ## measure the core and the operator's start
	@$(VENV)/python hack/bench $(ARGS)

.PHONY: figures
figures: venv ## measure the acceptance figures on the real cluster: docs/measured.md (about 45 minutes)
	@$(VENV)/python hack/figures $(ARGS)

.PHONY: soak
soak: venv ## a hundred mixed rollouts under constant load, and how many requests were lost (about 25 minutes); ARGS=--sample
	@$(VENV)/python hack/soak $(ARGS)

.PHONY: histories
histories: venv ## random histories against what must never happen; ARGS="--histories 100000 --report" (about 40 minutes)
	@$(VENV)/python hack/histories $(ARGS)

.PHONY: soak-evidence
soak-evidence: venv ## roll out healthy and bad versions on the real cluster under load (about 35 minutes); ARGS=--report
	@$(VENV)/python hack/soak_evidence $(ARGS)

.PHONY: lock
lock: python ## requirements/*.lock from pyproject.toml; ARGS=--upgrade for the newest versions
	@$(PYTHON) hack/lock.py $(ARGS)

.PHONY: wheel
wheel: venv ## dist/modelramp-*.whl
	@ls dist/modelramp-*.whl

.PHONY: image
image: python ## the operator's image, with docker or podman where there is one, else with the local cluster's builder
	@IMAGE='$(IMAGE)' BASE='$(BASE)' PYTHON='$(PYTHON)' hack/ci-image

.PHONY: clean
clean: ## remove what the verbs made in this folder; caches elsewhere and the cluster stay
	@rm -rf .venv build dist reports .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
