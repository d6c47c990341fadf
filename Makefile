# Every target first makes its own environment from uv.lock, so each is the one command it looks like.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench screenshots clean env env-test env-check

python := .venv/bin/python
pytest := $(python) -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
# What has a long form, or costs one sidecar for many cases; everything else `make test` runs as it is.
wire := backup broken_origins clock_jumps crashes fidelity four_processes http_cache pressure recovery smuggling streaming two_ways upstream_faults
long := $(wire:%=tests/wire/test_%.py) tests/core/test_model.py tests/core/test_bit_rot.py tests/test_planted_bugs.py
# What was cached, compiled or measured; never a ledger.
litter := .tools .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .demo dist

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s  %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: env ## the main job: a retry storm reaches Stripe once (under a minute)
	@$(python) examples/demo.py

test: env-test ## every test this machine can run; the summary names what was skipped
	@$(pytest)

test-wire: env ## the long forms: 2 GB streams, 1,000 half-open connections, every planted bug (bounded to 15 minutes)
	@LEDGER_CAMPAIGN=1 timeout 900 $(pytest) $(long)

check: env-check ## linters, types, import contracts, sizes, the Dockerfile
	@scripts/check

bench: env ## the measurements, each as a ratio in one run
	@$(python) -m bench

screenshots: env ## the pictures of the docs anew (needs chromium, fonts-dejavu-core)
	@LOGNAME=ada $(python) scripts/screenshots.py

clean: ## remove environments and caches
	@rm -rf $(litter) tests/node/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

env:
	@scripts/bootstrap

env-test:
	@scripts/bootstrap test

env-check:
	@scripts/bootstrap check
