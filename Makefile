# nanobot: `make serve` runs it, `make test` runs all that CI runs.

PYTHON ?= python3
BIN    := .venv/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: serve test pytest lint-beside test-long test-backup test-transcripts test-clients test-mcp test-matrix test-ocr test-local test-nanobot local lint format bench bench-memory crash crash-schedules soak fuzz constraints docs docs-serve release-check clean

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

test-backup: .venv/test.done       ## a server with KEPT_MIB (1,000) of files is backed up under load three times, and each is restored
	LIMIT_SECONDS=900 KEPT_MIB=$(or $(KEPT_MIB),1000) $(BIN)/python -m pytest -n 0 --timeout 3600 tests/flow/backups/test_backup.py -k under_load

test-transcripts: .venv/test.done  ## CASES transcripts, as any provider's answers make them, by the rules of every provider
	CASES=$(CASES) $(BIN)/python -m pytest -n 0 --timeout 3600 tests/contract/providers/test_any_transcript.py

test-clients: .venv/test.done .venv-clients/clients.done ## real clients against a real server: installs them first; CODEX=1: Codex, too (424 MB)
	$(BIN)/python -m tests.clients

test-mcp: .venv/test.done ## MCP's conformance suites and everything server, if npm is there: installs them first
	@if command -v npm >/dev/null; then npm ci --prefix $(MCP_NODE) --ignore-scripts --no-audit --no-fund --silent; fi
	$(BIN)/python -m pytest -n 0 -rs tests/flow/mcp

test-matrix: .venv/test.done .venv-synapse/synapse.done ## Matrix against a real Synapse, with encrypted rooms: installs both first
	$(BIN)/python -m pytest -n 0 -rs tests/flow/matrix

test-ocr: .venv/test.done .venv/ocr.done ## the words in scans and pictures: installs the extra 'ocr' first (a third of a gigabyte)
	$(BIN)/python -m pytest -n 0 -rs tests/flow/live/test_ocr_in_turns.py tests/documents/test_documents_words.py

test-local: .venv/local.done .venv/test.done ## models that are files, by llama.cpp: builds it first (minutes, once)
	$(BIN)/python -m pytest -m local -rs

test-nanobot: .venv/serve.done     ## does the configuration that the newest nanobot-ai writes load here? Needs the network
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PYTHON) -m venv $$folder/venv && $$folder/venv/bin/pip install -q nanobot-ai \
	&& HOME=$$folder $$folder/venv/bin/nanobot onboard < /dev/null > $$folder/log && $$folder/venv/bin/nanobot --version \
	&& $(BIN)/nanobot config check --config $$folder/.nanobot/config.json | tee $$folder/check && ! grep "unknown here" $$folder/check

local: .venv/local.done            ## install what runs models that are files (the extra 'local')

lint: .venv/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: .venv/test.done
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-memory: .venv/test.done      ## does search find what was said? Recall beside plain BM25, in four languages
	$(BIN)/python -m bench.memory --vectors
	$(BIN)/python -m bench.memory --speed

bench: .venv/test.done             ## the table of docs/performance.md
	$(BIN)/python -m bench

KILLS ?= 50
PROCESSES ?= 1

crash: .venv/test.done             ## kill a server under load KILLS times (of PROCESSES=2 or 3 one, POSTGRES=1): nothing may be lost
	$(BIN)/python -m tests.crash --kills $(KILLS) --processes $(PROCESSES) $(if $(POSTGRES),--postgres)

crash-schedules: .venv/test.done   ## kill a server KILLS times while schedules fall due (PROCESSES=2, POSTGRES=1): each occurrence once
	$(BIN)/python -m tests.crash.schedules --kills $(KILLS) --processes $(PROCESSES) $(if $(POSTGRES),--postgres)

MINUTES ?= 10
DOORS ?=

soak: .venv/test.done              ## a mixed load for MINUTES: memory, descriptors, files (DOORS=chat,hook for some)
	$(BIN)/python -m tests.soak --minutes $(MINUTES) --doors "$(DOORS)"

CASES ?= 10000

fuzz: .venv/test.done              ## send CASES requests drawn from /openapi.json: every answer must be as described
	$(BIN)/python -m tests.fuzz --cases $(CASES)

docs: .venv/test.done              ## the pages as a site, in build/site/html; a link that leads nowhere ends it
	$(BIN)/python -m docs.site

docs-serve: .venv/test.done        ## the site at http://127.0.0.1:8000, of the pages as they are now
	$(BIN)/python -m docs.site serve

release-check: .venv/serve.done    ## may this commit be released? docs/releasing.md
	$(BIN)/python .ci/release_check.py

# What is installed is pinned, with hashes, in requirements/; `make constraints` writes those files from pyproject.toml.
# uv needs half of pip's time, and is installed first unless it is there. Where it fails, pip takes over. Bytecode is compiled here, as pip does:
# where PYTHONDONTWRITEBYTECODE is set, every start would do it again.

UV := $(or $(shell command -v uv),$(BIN)/uv)

define install
$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python $(1) || $(BIN)/pip install --quiet $(1)
endef

.venv/serve.done: pyproject.toml requirements/serve.txt requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nanobot needs Python 3.11 or later: make PYTHON=python3.12 serve")'
	$(PYTHON) -m venv .venv
	@command -v $(UV) >/dev/null || $(BIN)/pip install --quiet --no-compile --require-hashes -r requirements/uv.txt || true
	$(call install,--require-hashes --no-deps -r requirements/serve.txt)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

NODE := tests/flow/compatibility/node
MCP_NODE := tests/flow/mcp/node

.venv/test.done: .venv/serve.done requirements/test.txt $(NODE)/package-lock.json
	$(call install,--require-hashes --no-deps -r requirements/test.txt)
	@if command -v npm >/dev/null; then npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent; \
	else echo "npm is not here: the tests of OpenAI's SDK for Node are skipped"; fi
	@touch $@

.venv/local.done: .venv/serve.done requirements/local.txt
	$(BIN)/pip install --quiet --require-hashes -r requirements/local.txt
	@touch $@

.venv/ocr.done: .venv/serve.done
	$(BIN)/pip install --quiet 'rapidocr>=3.10' 'onnxruntime>=1.32'
	@touch $@

.venv-synapse/synapse.done: .venv/serve.done
	$(PYTHON) -m venv .venv-synapse
	.venv-synapse/bin/pip install --quiet 'matrix-synapse==1.163.2'
	$(BIN)/pip install --quiet 'matrix-nio[e2e]>=0.26'
	@touch $@

CLIENTS := tests/clients/node
CLIENT_PINS := langchain-openai==1.7.4 'pydantic-ai-slim[openai]==2.68.0' openai-agents==0.24.0 llm==0.36 tiktoken==0.14.0

.venv-clients/clients.done: requirements/clients.txt $(CLIENTS)/package-lock.json
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip install --quiet --require-hashes --no-deps -r requirements/clients.txt
	@if command -v npm >/dev/null; then npm ci --prefix $(CLIENTS) $(if $(CODEX),,--omit=optional) --ignore-scripts --no-audit --no-fund --silent; \
	else echo "npm is not here: the clients for Node are skipped"; fi
	@touch $@

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

constraints: .venv/serve.done
	echo 'uv>=0.13' | $(COMPILE) - -o requirements/uv.txt
	$(COMPILE) --group build pyproject.toml -o requirements/serve.txt
	$(COMPILE) --group build --extra postgres pyproject.toml -c requirements/serve.txt -o requirements/image.txt
	$(COMPILE) --group build --group test --extra postgres pyproject.toml -c requirements/serve.txt -o requirements/test.txt
	printf '%s\n' $(CLIENT_PINS) | $(COMPILE) - -o requirements/clients.txt
	$(COMPILE) --group build --group local-test --extra local pyproject.toml -c requirements/test.txt -o requirements/local.txt

clean:
	rm -rf .venv .venv-clients .venv-synapse .pytest_cache .ruff_cache .hypothesis build dist $(NODE)/node_modules $(MCP_NODE)/node_modules
