# Two commands do all set-up: `make demo` and `make test`. Both need Python 3.11+ and a package registry, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test vllm-cpu real bench soak pocket examples clean

$(STAMP): pyproject.toml constraints.txt
	rm -rf *.egg-info  # an older one would hide entry points that have come since
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.14.1" "torchvision==0.29.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,browser]"
	touch $@

demo: $(STAMP)  ## the page, the API and the worker on the bundled models, with knowledge and sample studies
	CONSULT_HOME=$${CONSULT_HOME:-$(CURDIR)/.consult} $(BIN)/consult serve --demo

test: $(STAMP)  ## lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -m "not vllm and not browser and not soak"

vllm-cpu:  ## the real vLLM on a CPU, in its own environment (.venv-vllm)
	scripts/make-vllm-cpu .venv-vllm

real: $(STAMP)  ## short suites against the real vLLM and a real browser, where they are installed
	$(BIN)/python -m pytest tests/real -m "vllm or browser"

bench: $(STAMP)  ## one ask against the bare engine call, one search against the bare engine and an exact product
	$(BIN)/python -m eval.bench.ask
	$(BIN)/python -m eval.bench.search

soak: $(STAMP)  ## long load and kill campaigns, by hand
	$(BIN)/python -m pytest -m soak --timeout 3600

# DATA=folder with the sources of real pictures and text/medquad.jsonl; without it phantoms and cards alone teach.
pocket: $(STAMP)  ## train the bundled models anew into out/shipped (it says how long; killed, it goes on)
	$(BIN)/consult train pocket $(if $(DATA),--data $(DATA))

examples: $(STAMP)  ## docs/examples anew, by the bundled model: three studies from picture to FHIR
	$(BIN)/python -m eval.examples

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
