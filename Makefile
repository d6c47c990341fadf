# Every target first makes its own environment from uv.lock, so each is the one command it looks like.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench screenshots clean env env-test env-check

python := .venv/bin/python
# What was cached, compiled or measured; never a ledger.
litter := .tools .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .demo dist

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s  %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: env ## the main job: a retry storm reaches Stripe once (under a minute)
	@$(python) examples/demo.py

test: env-test ## every test this machine can run; the summary names what was skipped
	@$(python) -m pytest

test-wire: env ## the long form of the wire's tests: 2 GB streams, 1,000 half-open connections (bounded to 15 minutes)
	@LEDGER_CAMPAIGN=1 timeout 900 $(python) -m pytest tests/wire tests/upstream_leg tests/core/test_model.py tests/test_planted_bugs.py

check: env-check ## linters, types, import contracts, sizes, the Dockerfile
	@scripts/check

bench: env ## the measurements, each as a ratio in one run
	@$(python) -m bench

screenshots: env ## the pictures of the docs anew (needs chromium)
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
