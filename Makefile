# make demo | test | lint | bench: each sets up .venv by itself, and does nothing twice.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.nightglass-ready

.PHONY: demo ui test lint bench lock clean
.DEFAULT_GOAL := demo

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("nightglass needs Python 3.11 or later, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)  ## the whole job on real digits: train, encode, score, report
	$(BIN)/nightglass demo $(ARGS)

ui: $(READY)  ## Prefect's pages with a small job that runs every ten minutes; Ctrl-C ends it
	$(BIN)/python deploy/ui.py

test: $(READY)  ## quick tests first, then the slow ones (with Debian's chromium and postgresql all of them)
	$(BIN)/python -m pytest -q -m "not slow and not browser and not postgres and not gpu"
	$(BIN)/python -m pytest -q -m "(slow or browser or postgres) and not gpu" $(ARGS)

lint: $(READY)  ## ruff and mypy, strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## the README's figures, measured again (an hour); PyOD, for comparison, is installed beside what the lock names
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable ".[bench]"
	$(BIN)/python benchmarks/seed.py
	$(BIN)/python benchmarks/images.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/gate.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/promises.py
	$(BIN)/python benchmarks/blind_spots.py
	$(BIN)/python benchmarks/detection.py

lock: $(READY)  ## write requirements.lock from what is installed in .venv
	$(BIN)/pip freeze --all --exclude-editable | grep -v "^pip==" | sed 's/+cpu//' > requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
