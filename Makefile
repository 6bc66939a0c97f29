# make demo    set up, and run the main job offline
# make test    set up, and run the tests
# make check   format, lint, types, layers
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := xgboost,xrootd,postgresql,dask,test,dev
# what the tests need of the system, as Debian calls it
SYSTEM_PARTS := chromium util-linux iproute2 xrootd-server postgresql nginx-light strace slurm-wlm munge libfaketime

# what the campaigns need beside it: containers
CAMPAIGN_PARTS := buildah podman runc debootstrap

IMAGE ?= hepml
BUILDER ?= podman
BUILD_OPTIONS ?=

# compiled modules stay beside their sources: without them every start of Python costs five seconds,
# and both commands start it some hundred times
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test campaigns check format coverage benchmarks image system-parts campaign-parts lock clean

setup: .venv/.ready

.venv/.ready: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "hepml_tasks needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	rm -rf .venv
	@if command -v uv >/dev/null 2>&1; then \
	  set -ex; \
	  uv venv --quiet --seed --python "$(PYTHON)" .venv; \
	  uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[$(EXTRAS)]'; \
	else \
	  set -ex; \
	  $(PYTHON) -m venv .venv; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[$(EXTRAS)]'; \
	fi
	@touch $@

demo: setup
	$(BIN)/hepml demo

test: setup
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# what make test leaves out: faults by the hundred, load, fuzzing, batch farms, the image
campaigns: setup
	$(BIN)/python -m pytest -m campaign

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# longer campaigns: ten minutes and more
coverage: setup
	$(BIN)/python benchmarks/coverage.py

benchmarks: setup
	$(BIN)/python benchmarks/formats.py
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/paired.py
	$(BIN)/python benchmarks/toy_realism.py
	$(BIN)/python benchmarks/der_agreement.py
	$(BIN)/python benchmarks/derived_pictures.py
	$(BIN)/python benchmarks/baselines.py
	$(BIN)/python benchmarks/small_suite.py
	$(BIN)/python benchmarks/cache.py
	$(BIN)/python benchmarks/server.py

# the bot as a container image; BUILDER may be docker or buildah too
image:
	$(BUILDER) build $(BUILD_OPTIONS) --tag "$(IMAGE)" --build-arg IMAGE="$(IMAGE)" \
	  --build-arg VERSION="$$(sed -n 's/^version = //p' setup.cfg)" \
	  --build-arg COMMIT="$$(git describe --always --dirty --abbrev=40 --exclude='*')" .

system-parts:
	@$(call install_parts,$(SYSTEM_PARTS))

campaign-parts:
	@$(call install_parts,$(SYSTEM_PARTS) $(CAMPAIGN_PARTS))

define install_parts
if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; set -ex; \
$$as apt-get update -q; \
$$as env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(1)
endef

# the newest versions that work together; review the change, and run the tests with it
lock:
	rm -rf .venv && $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	{ echo "# versions that the tests pass with: made by make lock"; \
	  $(BIN)/python -m pip freeze --all --exclude-editable --exclude pip; } > constraints.txt
	touch .venv/.ready

clean:
	rm -rf .venv build dist *.egg-info hepml-demo
