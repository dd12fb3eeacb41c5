# `make` lists the targets. Python 3.11 or newer and make are all that a machine needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := build/venv/bin/python
KILLS ?= 30
DEMO_DIR ?= build/demo
# The long tests come first: then both workers end together.
PARALLEL ?= -n 2 --dist loadscope --no-loadscope-reorder
IMAGE_OPTIONS = $(BASE_IMAGE:%=--base-image=%) $(REPOSITORY:%=--repository=%) $(TAG:%=--tag=%) $(BUILDER:%=--builder=%)
PLAIN := $(addprefix tests/integration/test_,own_variants.py answer_benchmarks.py code_sweep.py generation.py long_eval_sweep.py \
  memorization.py mt_bench_sweep.py)
SLOW := $(addprefix tests/integration/test_,equality.py kills.py data_kills.py demo.py) $(PLAIN) tests/integration/sandbox

# The dependencies live in ${A360_CACHE:-~/.cache/a360}, shared by checkouts that need the same ones.
# A360_ENV=DIR takes an environment that already has them.

##@ Use it

setup: ## Create build/venv (dependencies come from a cache outside the checkout)
	@for python in $(PYTHON) python3.11 python3; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" .ci/environment.py; fi; \
	done; \
	echo "a360: found no Python 3.11 or newer as python3.11 or python3" >&2; \
	echo "hint: make PYTHON=/path/to/python3.11 $(or $(MAKECMDGOALS),setup)" >&2; exit 2

demo: setup ## Train a small model, evaluate its checkpoints, publish the report
	@build/venv/bin/a360 demo --dir $(DEMO_DIR)

##@ Develop

format: setup ## Format the code and apply safe fixes
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

lint: setup ## Check format and lint rules
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

types: setup ## Check types, strictly
	$(PY) -m mypy

test: setup ## Unit and integration tests, without equality and kills
	$(PY) -m pytest $(PARALLEL) $(SLOW:%=--ignore=%) tests/integration tests/helm tests/unit

test-unit: setup ## Unit tests only: no server, no model, seconds
	$(PY) -m pytest $(PARALLEL) tests/unit

test-integration: setup ## Integration tests only: S3 servers, lm-eval, W&B offline, a browser
	$(PY) -m pytest $(PARALLEL) tests/integration $(SLOW:%=--ignore=%)

cluster-tools: setup ## Build Kubernetes, Argo and what else a cluster is made of (20 minutes, once)
	$(PY) -m tests.cluster build

cluster-up: setup ## Start a real Kubernetes with Argo Workflows and S3 on this machine (needs root)
	@$(PY) -m tests.cluster up

cluster-down: setup ## Stop it and leave the machine as it was
	@$(PY) -m tests.cluster down

##@ Prove it

equality: setup ## Compare with lm_eval's command line (A360_TEST_DEVICE=cuda: on a GPU), and with plain programs
	$(PY) -m pytest -v tests/integration/test_equality.py
	$(PY) -m pytest $(PARALLEL) $(PLAIN)

kills: setup ## Kill a sweep KILLS times (30) and a mirror 20 times; what is left must be as undisturbed
	KILLS=$(KILLS) $(PY) -m pytest -s tests/integration/test_kills.py tests/integration/test_data_kills.py

sandbox: setup ## Attack the sandbox for model-written programs, one attack after the other (3 minutes)
	$(PY) -m pytest -v tests/integration/sandbox

test-cluster: setup tools ## Tests on a real cluster: pods, workflows, a killed run leaves nothing behind
	@if command -v go >/dev/null; then $(MAKE) cluster-tools; fi
	$(PY) -m pytest -v tests/cluster --ignore=tests/cluster/full

test-cluster-full: setup ## The same for 10 checkpoints and every benchmark, with times
	$(PY) -m pytest -v -s tests/cluster/full

demo-short: setup ## Run the demo with 3 checkpoints twice and look at what it leaves behind
	$(PY) -m pytest -s tests/integration/test_demo.py

mutants: setup ## Break the code line by line: each change must fail the test that is named for it
	$(PY) tests/mutants/run.py $(MUTANTS)

bench: setup ## Measure: planning at the size of Amber, sequences that a model goes on with
	$(PY) bench/plan_scale.py
	$(PY) bench/memorization.py

bench-cluster: setup ## Measure: a sweep of 8,280 pods on a real cluster, then one with faults
	$(PY) bench/cluster_scale.py
	$(PY) bench/cluster_scale.py --faults

render: setup ## Write the workflows to helm/a360/files and workflows/submit
	$(PY) -m workflows render

golden: setup ## Rewrite the golden files after a deliberate change
	A360_GOLDEN=write $(PY) -m pytest tests/unit -m golden

check-golden: setup ## Compare with the golden files and the rendered workflows
	$(PY) -m pytest tests/unit -m golden
	$(PY) -m workflows render --check

lock: setup ## Recompute the hashes of lm-eval's tasks and of graders after a deliberate change
	$(PY) -c "from pathlib import Path; from a360.demo import rows, text; \
	  rows.write_mirror(Path('build/lock-mirror'), text.split_documents(text.read_documents())[1])"
	HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 HF_DATASETS_CACHE=$(CURDIR)/build/lock-cache \
	  $(PY) -m a360.evaluators.lock build/lock-mirror
	$(PY) -m a360.grading.lock

docs: setup ## Write the reference pages from the code
	@mkdir -p docs/reference
	$(PY) -m typer a360.cli utils docs --name a360 --output docs/reference/cli.md
	$(PY) docs/benchmarks_page.py > docs/reference/benchmarks.md

chart: setup ## Write the table of values into the chart's README
	$(PY) docs/chart_page.py

images: ## Build the images with docker or buildah (IMAGES, BASE_IMAGE, REPOSITORY, TAG, BUILDER, BUILD_FLAGS)
	@$(or $(PYTHON),python3) -m images.build build $(IMAGES) $(IMAGE_OPTIONS) $(BUILD_FLAGS:%=--extra=%)

smoke: ## Look at the built images from inside: a user without rights, a read-only root, no network
	@$(or $(PYTHON),python3) -m images.build smoke $(IMAGES) $(IMAGE_OPTIONS)

pins: setup ## Write what each image holds, from pyproject.toml and constraints.txt
	$(PY) -m images.requirements

ci: ## Everything that has to hold before a change is merged
	@KILLS=10 .ci/stages setup tools lint types test equality kills sandbox demo-short

tools: ## Install Chromium, bubblewrap and containerd, build versitygw, where that is possible here
	@.ci/tools

clean: ## Remove what was built here; the shared environments stay
	rm -rf build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup demo demo-short format lint types test test-unit test-integration test-cluster test-cluster-full \
  cluster-tools cluster-up cluster-down equality kills sandbox mutants bench bench-cluster render golden check-golden \
  lock docs chart images smoke pins ci tools clean help
