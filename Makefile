# Every everyday command. `make help` explains them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PYTHON ?=
CONTEXT ?=
REGISTRY ?=
ARGS ?=
python := $(VENV)/bin/python
packages := pointsman pointsman_router pointsman_engine pointsman_trial e2e bench tests
scripts := $(wildcard charts/*.py locks/*.py serving-image/*.py)
context := $(if $(CONTEXT),--context=$(CONTEXT))
# Output comes as it happens also where it goes to a file, as in CI.
export PYTHONUNBUFFERED := 1
export VENV PYTHON CONTEXT REGISTRY

.PHONY: help
help: ## This list
	@echo "Pointsman. Targets (pass further arguments of pytest with ARGS='-k name -x'):"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' Makefile

checks := style types imports generated locked
.PHONY: check $(checks)
check: venv ## Style, types, import rules, generated files, locks: seconds, needs no cluster
	@$(MAKE) --keep-going $(checks)
	@echo "check: all good"

style:
	@echo "check: style"
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . || { echo "Many of these mend themselves: make format"; exit 1; }

types:
	@echo "check: types"
	@$(VENV)/bin/mypy $(packages:%=-p %)
	@$(VENV)/bin/mypy $(scripts)

imports:
	@echo "check: imports"
	@$(VENV)/bin/lint-imports --no-logo

generated:
	@echo "check: generated files"
	@$(python) -m pointsman.crdgen --check && $(python) charts/readme.py --check && $(python) serving-image/limits_page.py --check || { echo "Run: make crds"; exit 1; }

locked:
	@echo "check: locks"
	@$(python) locks/lock.py --check

.PHONY: format
format: venv ## Mend style where a machine can
	@$(VENV)/bin/ruff check --fix --quiet . || true
	@$(VENV)/bin/ruff format .

.PHONY: test
test: venv ## All tests but e2e, with a real kube-apiserver: needs no kubelet, image or vLLM; a quarter of an hour warm
	@$(python) -m pytest tests $(ARGS)

.PHONY: readings
readings: venv ## What kstatus, Flux, Argo CD, Helm and kubectl make of our status in every situation: one table, a minute
	@$(python) -m tests.readings

.PHONY: test-faults
test-faults: venv ## Faults in every scenario: at each write, at each event or every 5th, at every 11th read, by 8 seeds (ARGS=--list, --mutations)
	@$(python) -m tests.simulation.faults $(ARGS)

.PHONY: test-crashes
test-crashes: venv ## The operator dies before and after every write to a real kube-apiserver, not every third as in `make test`
	@POINTSMAN_CRASH_STRIDE=$${POINTSMAN_CRASH_STRIDE:-1} $(python) -m pytest tests/conformance/test_crashes.py --timeout=3600 $(ARGS)

.PHONY: test-specs
test-specs: venv ## Ten times as many generated specs and worlds as `make test` tries, and other ones each time; ten minutes
	@POINTSMAN_EXAMPLES=$${POINTSMAN_EXAMPLES:-10} $(python) -m pytest tests/simulation/test_specs.py tests/simulation/test_misoperation.py tests/simulation/test_paths.py --timeout=3600 $(ARGS)

.PHONY: lint-manifests
lint-manifests: venv ## kube-score's opinion of the chart and of every child the operator makes; built the first time
	@$(python) -m tests.readings.linting

.PHONY: fuzz
fuzz: venv ## Fuzz the router's parsers by coverage for five minutes (ARGS=--seconds=N); what is found fails it
	@$(python) -m pip --disable-pip-version-check install --quiet --require-hashes --requirement locks/fuzz.lock
	@$(python) -m tests.router.fuzz $(ARGS)

.PHONY: leak
leak: venv ## 200,000 mixed requests to one router process, whose memory must stay flat (ARGS=--requests=N)
	@$(python) -m tests.router.leak $(ARGS)

.PHONY: e2e
e2e: venv ## A fixed handful of scenarios on a real node with real vLLM (CONTEXT=, REGISTRY=: on that cluster, by those images)
	@$(python) -m pytest e2e $(ARGS)

.PHONY: e2e-all
e2e-all: venv ## Every scenario, the long ones too
	@$(python) -m pytest e2e --all $(ARGS)

.PHONY: causes
causes: venv ## What keeps a model from serving, injected on a real node: when status says so, and when it clears
	@$(python) -m e2e.causes $(context) $(ARGS)

.PHONY: truth
truth: venv ## 200 creations and changes on a real node: Ready=True held against requests (ARGS=--cycles=N)
	@$(python) -m e2e.truth $(context) $(ARGS)

.PHONY: canaries
canaries: venv ## Four candidates under load on a real node: a slow and a failing one take themselves back (ARGS=names); 15 minutes
	@$(python) -m e2e.canary $(context) $(ARGS)

.PHONY: bench-router
bench-router: venv ## The router's cost beside its peers' and none: CPU per request and chunk, latency, memory; 5 minutes
	@$(python) -m bench.router $(ARGS)

.PHONY: bench-streams
bench-streams: venv ## 9,500 open streams on one router process, and on its peer: failures, gaps, memory; 3 minutes
	@$(python) -m bench.streams $(ARGS)

.PHONY: bench-placement
bench-placement: venv ## Two real vLLM engines: what of prompts was cached, and time to first token, by policy; 15 minutes
	@$(python) -m bench.placement $(ARGS)

.PHONY: bench-canary
bench-canary: venv ## 10,000 simulated rollouts per effect, judged as the operator does and by fixed thresholds; 25 minutes (ARGS=--rollouts=N)
	@$(python) -m bench.canary $(ARGS)

.PHONY: demo
demo: venv ## A cluster, Pointsman by its chart, an LLMService, and a streamed answer from a real model
	@$(python) -m e2e.demo $(context)

.PHONY: cluster
cluster: venv ## A cluster to work on: CONTEXT=name, else kind where Docker runs it, else a bare one built here
	@$(python) -m e2e.cluster up $(context)

.PHONY: down
down: venv ## Take that cluster down: no process, mount or cgroup stays
	@$(python) -m e2e.cluster down

.PHONY: bench-fit
bench-fit: venv ## The fit calculation beside real vLLM on a CPU: weights, cache, longest context, and the errors; 10 minutes
	@$(python) -m bench.fit $(ARGS)

.PHONY: bench-serve
bench-serve: venv ## `vllm bench serve` through the router and straight at a real vLLM engine, by turns; 6 minutes
	@$(python) -m bench.serve $(ARGS)

.PHONY: bench-reconcile
bench-reconcile: venv ## The operator beside a bare client on a real control plane: 1 to 1,000 services (ARGS='--rows=20'); 25 minutes
	@$(python) -m bench.reconcile $(ARGS)

.PHONY: crds
crds: venv ## Generate crds/, the chart's CRDs and RBAC, and reference docs from operator/pointsman/api
	@$(python) -m pointsman.crdgen
	@$(python) charts/readme.py
	@$(python) serving-image/limits_page.py

.PHONY: images
images: venv ## Build all images; with REGISTRY=host/path push them there (ARGS=names builds some)
	@$(python) serving-image/build.py build $(ARGS) $(if $(REGISTRY),--registry=$(REGISTRY))

.PHONY: lock
lock: venv ## Make the locks from pyproject.toml (ARGS=--upgrade takes the newest versions allowed)
	@$(python) locks/lock.py $(ARGS)

.PHONY: venv
venv: $(VENV)/.made ## The virtual environment; every other target makes it when it's missing or old

$(VENV)/.made: locks/dev.lock locks/venv.sh pyproject.toml
	@locks/venv.sh
