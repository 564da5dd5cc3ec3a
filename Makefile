# make demo | ui | test | lint | docs | check | bench | lock: each creates or updates .venv first if needed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SIDE_BY_SIDE = -n logical --maxprocesses 4 --dist worksteal
READY = $(VENV)/.nightglass-ready
# Images of containers often set this; without bytecode, every process compiles all modules again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo ui test lint docs check release-check bench lock clean
.DEFAULT_GOAL := demo

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("nightglass needs Python 3.11 or later, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)  ## run a complete job on real digits: train, encode, score, report
	$(BIN)/nightglass demo $(ARGS)

ui: $(READY)  ## Prefect UI with a small job that runs every ten minutes; stop with Ctrl-C
	$(BIN)/python deploy/ui.py

# Browser and database tests need Debian's chromium and postgresql.
test: $(READY)  ## quick tests, then slow ones and those in a browser, then those with a database
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not slow and not browser and not postgres and not gpu"
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "(slow or browser) and not postgres and not gpu"
	$(BIN)/python -m pytest -q -m "postgres and not gpu"

lint: $(READY)  ## ruff, and mypy in strict mode
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Also installs MkDocs, which is not in the lock file.
docs: $(READY)  ## write docs/reference from the code and build the site in build/site; warnings are errors
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable ".[docs]"
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Also installs the validators of Docker Compose and of workflows, which are not in the lock file.
check: $(READY)  ## deploy/ and .github/, by the validators of the tools that read them
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable ".[check]"
	$(BIN)/python -m pytest -q tests/test_deploy.py tests/test_workflows.py

# The version stands in pyproject.toml, so that it is known without Git; a tag must agree with it.
release-check: $(READY)  ## TAG is that of the version in pyproject.toml, which CHANGELOG.md describes
	$(BIN)/python -m pytest -q tests/test_distribution.py
	grep -q "^version = \"$(TAG:v%=%)\"$$" pyproject.toml
	grep -q "^## \[$(TAG:v%=%)\]" CHANGELOG.md

# Also installs PyOD, a peer that is not in the lock file. Results go to benchmarks/results.
bench: $(READY)  ## reproduce the README's figures (an hour)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable ".[bench]"
	$(BIN)/python benchmarks/record.py seed.py
	$(BIN)/python benchmarks/record.py images.py
	$(BIN)/python benchmarks/record.py memory.py
	$(BIN)/python benchmarks/record.py gate.py
	$(BIN)/python benchmarks/record.py overhead.py
	$(BIN)/python benchmarks/record.py run.py
	$(BIN)/python benchmarks/record.py promises.py
	$(BIN)/python benchmarks/record.py blind_spots.py
	$(BIN)/python benchmarks/record.py detection.py
	$(BIN)/python benchmarks/record.py series.py

lock: $(READY)  ## write requirements.lock from the packages installed in .venv
	$(BIN)/pip freeze --all --exclude-editable | grep -v "^pip==" | sed 's/+cpu//' > requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
