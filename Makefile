# Every habit is one command here. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint format bench bench-quality clean install

help:  ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(STAMP)  ## Train what is missing on the sample data, start all three services, replay a feed
	@exec $(BIN)/trefoil demo

test: $(STAMP)  ## Install what is needed and run every test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

coverage: PYTEST_ARGS = --cov --cov-report=term
coverage: test  ## The same, with the lines that no test runs (a fifth slower)

lint: $(STAMP)  ## Check style, types and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(STAMP)  ## Format the code
	@$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

bench: $(STAMP)  ## Measure inference and serving (up to 15 minutes)
	@$(BIN)/python -m benchmarks.inference && $(BIN)/python -m benchmarks.serving

bench-quality: $(STAMP)  ## Measure quality on one public set: make bench-quality SET=banking77
	@test -f "benchmarks/quality/$(SET).py" || { echo "trefoil: name a set: make bench-quality SET=banking77 (or banking77_fewshot, banking77_oos, cais, clinc150, methods, phrasebank, twitter_sentiment, twitter_topic)" >&2; exit 2; }
	@$(BIN)/python -m benchmarks.quality.$(SET) $(ARGS)

install: $(STAMP)  ## Make the virtual environment and install the pinned dependencies

clean:  ## Remove the virtual environment, run-time state and caches
	@rm -rf $(VENV) var build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt scripts/install
	@PYTHON=$(PYTHON) VENV=$(VENV) sh scripts/install
	@touch $(STAMP)
