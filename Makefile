# `make demo` and `make test` need only Python 3.10+ and pip: they make their own virtual environment.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test check bench soak clean

demo: .venv/demo ; @$(BIN)/cpr demo
test: .venv/test ; $(BIN)/python -m pytest -n 2 --dist loadgroup
check: .venv/test ; $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(MAKE) test
bench: .venv/test ; for each in benchmarks/*/run.py; do $(BIN)/python $$each || exit 1; done
soak: .venv/test ; CPR_SOAK=200 $(BIN)/python -m pytest -n 2 tests/upload/test_kills.py  # kills 200 publishers for each way of sending: ten minutes
clean: ; rm -rf .venv build dist predictor/*.egg-info

.venv/bin/python: ; @$(PYTHON) -c 'import sys; sys.exit("cpr needs Python 3.10 or newer: make PYTHON=python3.11") if sys.version_info < (3, 10) else None' && $(PYTHON) -m venv .venv
.venv/demo: .venv/bin/python pyproject.toml ; @echo "Installing into .venv; TensorFlow is large: a minute or two, once." && $(BIN)/python -m pip install -q -e '.[tensorflow,serve]' && touch $@
.venv/test: .venv/bin/python pyproject.toml ; @echo "Installing into .venv, with all that the tests need: some minutes, once." && $(BIN)/python -m pip install -q -e '.[test]' && touch $@ .venv/demo
