# nanobot: `make serve` runs it, `make test` runs all that CI runs.

PYTHON ?= python3
BIN    := .venv/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: serve test pytest lint-beside test-long test-local local lint format bench crash fuzz constraints clean

serve: .venv/serve.done            ## http://127.0.0.1:8900
	$(BIN)/nanobot serve

test: .venv/test.done              ## lint, types, import law, and every test
	@$(MAKE) --no-print-directory -j2 lint-beside pytest

pytest: .venv/test.done
	$(BIN)/python -m pytest -rs

lint-beside: .venv/test.done       # says one line, or all that was found, amid the tests: pytest's summary comes last
	@found=$$($(MAKE) --no-print-directory lint 2>&1) && echo "lint: clean" || { echo "$$found"; exit 1; }

LONG := tests/flow/test_api_fuzz.py $(addprefix tests/flow/live/test_,crash.py fuzz.py socket_fuzz.py)

test-long: .venv/test.done         ## the crash test and the fuzz tests at length: KILLS kills, CASES requests and frames
	KILLS=$(KILLS) CASES=$(CASES) $(BIN)/python -m pytest -rs $(LONG)

test-local: .venv/local.done .venv/test.done ## models that are files, by llama.cpp: builds it first (minutes, once)
	$(BIN)/python -m pytest -m local -rs

local: .venv/local.done            ## install what runs models that are files (the extra 'local')

lint: .venv/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: .venv/test.done
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/test.done             ## the table of docs/performance.md
	$(BIN)/python -m bench

KILLS ?= 50

crash: .venv/test.done             ## kill a server under load KILLS times: nothing may be lost
	$(BIN)/python -m bench.crash --kills $(KILLS)

CASES ?= 10000

fuzz: .venv/test.done              ## send CASES requests drawn from /openapi.json: every answer must be as described
	$(BIN)/python -m bench.fuzz --cases $(CASES)

# What is installed is pinned, with hashes, by the three constraints files; `make constraints` writes them anew from pyproject.toml.

.venv/serve.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nanobot needs Python 3.11 or later: make PYTHON=python3.12 serve")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

NODE := tests/flow/compatibility/node

.venv/test.done: .venv/serve.done constraints-test.txt $(NODE)/package-lock.json
	$(BIN)/pip install --quiet --require-hashes -r constraints-test.txt
	@if command -v npm >/dev/null; then npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent; \
	else echo "npm is not here: the tests of OpenAI's SDK for Node are skipped"; fi
	@touch $@

.venv/local.done: .venv/serve.done constraints-local.txt
	$(BIN)/pip install --quiet --require-hashes -r constraints-local.txt
	@touch $@

COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group build

constraints:                       ## needs uv
	$(COMPILE) pyproject.toml -o constraints.txt
	$(COMPILE) --group test --extra postgres pyproject.toml -c constraints.txt -o constraints-test.txt
	$(COMPILE) --group local-test --extra local pyproject.toml -c constraints-test.txt -o constraints-local.txt

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis $(NODE)/node_modules
