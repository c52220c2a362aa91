# The two commands are `make demo` and `make test`. Both make .venv first, and install into it what is missing.
PYTHON ?= python3
PEERS ?= python3.13
RUN := .venv/bin/python
# policy_sentry is the newest that this checkov takes.
AUDITORS := checkov==3.3.30 parliament==1.6.4 policy_sentry==0.13.2

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint torch text lock audit bench chaos history shootout upgrade

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## run the whole service on this machine and answer a photo; Ctrl-C ends it
	@$(PYTHON) deploy/local/install.py
	@$(RUN) manage.py demo

# The tests start processes by the hundred: where the environment says to write no bytecode, each would compile our code.
test test-all: export PYTHONDONTWRITEBYTECODE :=
test: ## lint, type-check and run the quick tests
	@$(PYTHON) deploy/local/install.py --tests
	@$(MAKE) --no-print-directory lint
	@$(RUN) -m pytest -n auto -m 'not slow or smoke'

test-all: test ## the same, and then the slow tests
	@$(RUN) -m pytest -n auto -m 'slow and not smoke'

lint: ## ruff, mypy and the import contracts alone
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@.venv/bin/lint-imports

torch: ## install PyTorch and ultralytics too, and export YOLO_WEIGHTS for the worker (default: yolo11n.pt, downloaded)
	@$(PYTHON) deploy/local/install.py --torch
	@$(RUN) manage.py export_weights

text: ## install what reads the text in photos (28 MB), for READ_TEXT=on
	@$(PYTHON) deploy/local/install.py
	@$(RUN) -m pip install --disable-pip-version-check --no-deps --require-hashes --requirement requirements-text.lock

# One version of each package for all Pythons and platforms; the newest that Python 3.11 can have. The largest lock comes
# first, and the others take its versions. Without PyTorch, whose build depends on the machine: no lock has it.
WHOLE := tests/requirements.lock
LOCK = .venv/bin/uv pip compile --quiet --generate-hashes --no-annotate --universal --python-version 3.11 --fork-strategy \
	fewest --excludes deploy/local/cuda.txt --no-emit-package torch --no-emit-package torchvision $(if $(UPGRADE),--upgrade)
LAPTOP := requirements.txt deploy/local/requirements.txt

lock: ## rewrite the *.lock files after a change of a requirements file; UPGRADE=1 takes newer releases where it may
	@test -x .venv/bin/uv || $(PYTHON) deploy/local/install.py
	@$(LOCK) $(LAPTOP) requirements-torch.txt tests/requirements.txt deploy/local/uv.txt --output-file $(WHOLE)
	@$(LOCK) --constraint $(WHOLE) $(LAPTOP) --output-file requirements.lock
	@for name in requirements-torch deploy/local/uv deploy/docker/polybot deploy/docker/metrics deploy/docker/yolo5; do \
		$(LOCK) --constraint $(WHOLE) $$name.txt --output-file $$name.lock || exit; done
	@$(LOCK) --no-deps requirements-text.txt --output-file requirements-text.lock

audit: ## checkov on the templates, parliament and policy_sentry on the policies, in an environment of its own (400 MB)
	@$(PYTHON) deploy/local/install.py --tests
	@test -x .venv-audit/bin/parliament || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/pip install -q $(AUDITORS); }
	@.venv-audit/bin/checkov -d deploy/cloudformation -d deploy/github --framework cloudformation --compact --quiet
	@$(RUN) -m tests.audit.documents >.venv-audit/policies.json
	@.venv-audit/bin/python -m tests.audit .venv-audit/policies.json

bench: ## measure the worker against a bare model, a loop and the defaults; the admin's list of 100,000 jobs; waiting people
	@$(PYTHON) deploy/local/install.py --tests
	@$(RUN) -m tests.bench
	@$(RUN) -m tests.bench.admin_list
	@$(RUN) -m tests.bench.waiting

chaos: ## break everything that can break, one by one and at random, and count the answers
	@$(PYTHON) deploy/local/install.py --tests
	@$(RUN) -m tests.chaos

history: ## break the SQS library's workers and network for five minutes, and judge what happened to every message
	@$(PYTHON) deploy/local/install.py --tests
	@$(RUN) -m botsite.sqs.tests.history

shootout: ## compare the SQS library with kombu's transport, taskiq and django-tasks for half an hour; PEERS=python3.13
	@$(PYTHON) deploy/local/install.py --tests
	@$(RUN) -m botsite.sqs.tests.shootout --python $(PEERS) --environments .venv-shootout

upgrade: ## upgrade a service of the previous release while photos are under way, and count the answers
	@$(PYTHON) deploy/local/install.py --tests
	@$(RUN) -m tests.upgrade
