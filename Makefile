# Commands for people. Begin with `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Folder of the local stack's data, and the settings file in it.
DATA ?= .local
SETTINGS := $(if $(filter .local,$(DATA)),local.settings.json,$(DATA)/local.settings.json)
# Microsoft's worker library declares Python 3.13 only but runs on all versions here, so it is installed into its own folder.
FUNCTIONS_RUNTIME := azure-functions-runtime==1.3.0
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/pytest

.DEFAULT_GOAL := help
.PHONY: help setup dev demo up test coverage test-browser test-faults test-kills test-serving test-walk test-quality check check-infra docs format hooks bench bench-api bench-fleet bench-detectors screenshots bench-maintenance clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements.txt requirements-local.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 14) else "Sensorwatch needs Python 3.11 to 3.14, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.13 …")'
	@echo "Installing into $(VENV). This takes a minute or two, once."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.txt -r requirements-local.txt
	@$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the tools for tests and checks."
	@$(PIP) -r requirements-dev.txt
	@$(PIP) --ignore-requires-python --no-deps --upgrade --target $(VENV)/functions-runtime $(FUNCTIONS_RUNTIME)
	@touch $@

setup: $(VENV)/.installed  ## Install everything for the local stack, and write local.settings.json.
	@$(BIN)/python -m local setup

dev: setup $(VENV)/.installed-dev

demo: setup  ## Run everything once, from readings to alerts, and print a report.
	@$(BIN)/python -m local demo

up: setup  ## Run the local stack until Ctrl-C; DATA=.local/demo uses the demo's data.
	@$(BIN)/python -m local up --data $(DATA) --settings $(SETTINGS)

test: dev  ## Run all tests except the slow ones.
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not browser"

coverage: dev  ## Run the tests of make test, and report the lines and branches that they miss.
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not browser" --cov --cov-report=term --cov-report=html:.coverage-html
	@echo "Every file with its missed lines is in .coverage-html/index.html."

test-browser: dev  ## Test every page of the dashboard in Chromium.
	$(PYTEST) -s -m browser tests/browser

screenshots: dev  ## Take the pictures in docs/images again.
	DASHBOARD_PICTURES=$(CURDIR)/docs/images $(PYTEST) -p no:randomly -m browser tests/browser -k pictured

test-faults: dev  ## Kill the host and the broker under load, and account for every reading; takes minutes.
	$(PYTEST) -s tests/flow/test_faults.py

test-kills: dev  ## Kill tasks at random moments, and compare the results with undisturbed tasks.
	$(PYTEST) -m slow tests/wire/test_task_kills.py

test-serving: dev  ## Score a thousand readings a second in real time for five minutes.
	$(PYTEST) -s tests/flow/test_real_time_soak.py

test-walk: dev  ## Run the commands of the page Your first alert, on an idle and on a busy machine.
	$(PYTEST) -m slow tests/flow/test_readme_walk.py

test-quality: dev  ## Compare the detector auto with all others on the whole synthetic benchmark.
	$(PYTEST) -m slow tests/unit/detectors/test_detector_quality.py tests/unit/detectors/test_ensemble.py

check: dev  ## Check style, types and import rules.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/.installed-docs: requirements-docs.txt $(VENV)/.installed
	@echo "Installing the tools for the documentation site."
	@$(PIP) -r requirements-docs.txt
	@touch $@

docs: $(VENV)/.installed-docs  ## Build the documentation site into build/docs.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in build/docs; open build/docs/index.html."

$(VENV)-infra/.installed: requirements-infra.txt
	@echo "Installing the scanners for infra/."
	@$(PYTHON) -m venv $(VENV)-infra
	@$(VENV)-infra/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

check-infra: $(VENV)-infra/.installed  ## Scan the Azure templates and the tasks' image.
	$(VENV)-infra/bin/checkov --config-file infra/checkov.yaml 2>$(VENV)-infra/checkov.log || { cat $(VENV)-infra/checkov.log; exit 1; }
	$(VENV)-infra/bin/hadolint infra/Dockerfile

hooks: dev  ## Run the checks before every commit.
	$(BIN)/pre-commit install

format: dev  ## Format the code.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(VENV)/.installed-bench: requirements-bench.txt $(VENV)/.installed-dev
	@echo "Installing the alternatives for the benchmarks; those that cannot be installed are left out of the tables."
	@sed -n '/==/p' $< | while read -r package; do $(PIP) "$$package" || echo "left out: $$package"; done
	@touch $@

bench: dev $(VENV)/.installed-bench  ## Measure the stages beside alternatives; takes minutes.
	$(BIN)/python -m bench

# SENSORS="1000 10000" runs smaller fleets only; the largest takes ten minutes and 5 GB.
SENSORS ?= 1000 10000 100000
bench-fleet: setup  ## Train and score fleets of up to 100,000 sensors on the local Batch service.
	$(BIN)/python -m bench.fleet --sensors $(SENSORS)

bench-api: setup  ## Measure the API over 100,000 sensors and a million anomalies; takes minutes.
	$(BIN)/python -m bench.bench_api

bench-detectors: setup  ## Measure the quality of each detector on the synthetic benchmark.
	$(BIN)/python -m bench.quality

# MACHINES=1000 is the original's size; it takes an hour of one core.
MACHINES ?= 300
bench-maintenance: dev $(VENV)/.installed-bench  ## Measure predictive maintenance beside the original's method and Spark.
	$(BIN)/python -m bench.maintenance --machines $(MACHINES)

clean:  ## Remove everything installed or generated, including local data.
	rm -rf $(VENV) $(VENV)-infra .local local/azurite/node_modules web/node_modules tests/browser/node_modules build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
