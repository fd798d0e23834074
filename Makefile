# The two commands: `make demo` and `make test`. Both do all the set-up on a machine with Python 3.11+, make and gcc.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := $(VENV)/.demo
# Scripts pass settings out of dictionaries, whose types nobody knows; that what they call is there, mypy can tell.
LOOSE := arg-type assignment dict-item func-returns-value import-not-found index no-any-return operator var-annotated

# Otherwise every process that a test starts would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-exhaustive check docs smoke bench clean

# Where the tests have set everything up, that serves the demo as well.
demo: $(if $(wildcard $(READY)),$(READY),$(DEMO))
	$(BIN)/inrzoo build digits --out out/digits.zarr
	$(BIN)/inrzoo preview out/digits.zarr --out out/digits.png
	@echo "store: out/digits.zarr   picture: out/digits.png"

test: $(READY)
	$(BIN)/python -m pytest -n auto

test-slow: $(READY)
	$(BIN)/python -m pytest -n auto -m slow

test-exhaustive: $(READY)
	$(BIN)/python -m pytest -n auto -m exhaustive

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=benchmarks:pipelines $(BIN)/mypy $(addprefix --disable-error-code=,$(LOOSE)) benchmarks/*.py pipelines/*.py
	MYPYPATH=docs/site $(BIN)/mypy docs/site/*.py
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python docker/check.py

docs: $(READY)
	$(BIN)/python docs/site/build_site.py

smoke: $(READY)
	$(BIN)/python pipelines/smoke.py

bench: $(READY)
	$(BIN)/python benchmarks/fitting.py
	$(BIN)/python benchmarks/read_speed.py

clean:
	rm -rf $(VENV) out

# Every version is pinned, so that today's install is tomorrow's.
$(DEMO): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[build]"
	touch $(DEMO)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(READY)
