# `make` says what there is. Everything downloaded lies in .cache, checked against the checksums that are
# committed: requirements.lock, .ci/*.lock, .ci/cdnow.sha256, kafka.sha256. A step is done again only when
# what it depends on has changed, so a second run needs no network.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := .cache
UV := $(CACHE)/uv/bin/uv
BIN := .venv/bin
# The first that is 3.11; asked for only when something is to be set up.
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	[ "$$($$p -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ] && command -v $$p && break; \
	done || command -v python3)

.PHONY: help demo test check laws reference registry bench spoilt simulation coverage mutants faults setup clean

help:
	@echo 'make demo    real purchases through Kafka and Faust become messages, with reasons'
	@echo 'make test    everything: check, then all tests, with a real Kafka'
	@echo 'make check   format, lint, types, imports and the fast tests'
	@echo 'make laws    the laws of decisions in worlds that were not tried before (SEED=n: in those of a seed)'
	@echo 'make bench   speed, as a ratio to reading and decoding alone'
	@echo 'make spoilt  10,000 spoilt definition files (10 minutes; the fast tests try 300)'
	@echo 'make simulation SEEDS=n  the application on a Kafka in memory, under faults (FROM=n: from that seed on)'
	@echo 'make coverage  branches of journeys/ and schemas/ that the fast tests miss; fails at the first one'
	@echo 'make reference  docs/definitions.md and its JSON Schema, from the types that read definitions'
	@echo 'make mutants  which mistakes in triggers, conditions, timing and caps the tests would miss (an hour)'
	@echo 'make faults  a real Kafka and its workers killed, silenced and filled up (SEED=n MINUTES=m BROKERS=1|3)'
	@echo 'make registry  fetch a real schema registry for the tests that need one (140 MB; they are skipped without)'
	@echo 'make setup   fetch what is needed into .cache and .venv (the others do it themselves)'
	@echo 'make clean   stop the local Kafka; delete .venv, .tidings and what tools left (.cache stays)'

# Files of tests side by side. Those with Kafka wait for processes most of the time, each with a Kafka of its own.
SIDE_BY_SIDE := --dist=loadfile --no-loadscope-reorder

demo: setup
	@$(BIN)/tidings demo

test: check
	@$(BIN)/pytest --numprocesses=3 $(SIDE_BY_SIDE) tests --ignore=tests/unit --ignore=tests/property

check: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest --numprocesses=2 $(SIDE_BY_SIDE) tests/unit tests/property

# Drawn once: what is said and what is run is the same.
SEED := $(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom | tr -d ' '))
laws: setup
	@echo 'make laws SEED=$(SEED)'
	@$(BIN)/pytest tests/property --hypothesis-profile=other-worlds --hypothesis-seed=$(SEED)

reference: setup
	@$(BIN)/tidings schema >docs/definitions.schema.json
	@$(BIN)/tidings schema --markdown >docs/definitions.md

bench: setup
	@$(BIN)/python -m bench

spoilt: setup
	@$(BIN)/pytest tests/property/test_spoilt_files.py --spoilt 10000

SEEDS ?= 1000
FROM ?= $(SEED)
simulation: setup
	@echo 'make simulation SEEDS=$(SEEDS) FROM=$(FROM)'
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM)

coverage: setup
	@mkdir -p .coverage
	@$(BIN)/coverage run -m pytest --plain tests/unit tests/property tests/replay --hypothesis-seed=0
	@$(BIN)/coverage report

mutants: setup
	@nice -n 10 $(BIN)/python -m tests.mutation

MINUTES ?= 10
BROKERS ?= 1
faults: setup
	@echo 'make faults SEED=$(SEED) MINUTES=$(MINUTES) BROKERS=$(BROKERS)'
	@nice -n 10 $(BIN)/python -m tests.faults --seed $(SEED) --minutes $(MINUTES) --brokers $(BROKERS)

# Confluent's own registry client has a Python of its own: its packages contradict the program's.
registry: setup
	@$(MAKE) --silent -j2 $(CACHE)/apicurio/.complete $(CACHE)/stranger/.complete

# The two downloads don't wait for each other.
setup:
	@$(MAKE) --silent -j2 .venv/.complete $(CACHE)/cdnow/CDNOW_master.txt $(CACHE)/kafka/.complete
	@$(MAKE) --silent $(CACHE)/kafka/.archived journeys/_hot.built schemas/_hot.built

$(UV): .ci/uv.lock
	@.ci/needs python '$(PYTHON)'
	@echo 'setup: uv'
	@rm -rf $(CACHE)/uv
	@mkdir -p $(CACHE)/downloads
	@$(PYTHON) -m pip download --quiet --no-cache-dir --no-deps --require-hashes --only-binary :all: \
		-r .ci/uv.lock -d $(CACHE)/downloads
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --no-index --no-deps --require-hashes --find-links $(CACHE)/downloads \
		--target $(CACHE)/uv -r .ci/uv.lock
	@touch $@

$(CACHE)/wheels/.complete: requirements.lock
	@.ci/needs python '$(PYTHON)'
	@echo 'setup: Python packages'
	@mkdir -p $(@D)
	@$(PYTHON) -m pip download --quiet --no-cache-dir --no-deps --require-hashes --only-binary :all: \
		-r requirements.lock -d $(@D)
	@touch $@

.venv/.complete: $(UV) $(CACHE)/wheels/.complete pyproject.toml
	@echo 'setup: .venv'
	@export UV_CACHE_DIR=$(CACHE)/uv-cache UV_OFFLINE=1 UV_NO_CONFIG=1; \
	[ -x $(BIN)/python ] || $(UV) venv --quiet --python '$(PYTHON)' .venv; \
	$(UV) pip sync --quiet --python $(BIN)/python --no-index --find-links $(CACHE)/wheels --require-hashes \
		requirements.lock; \
	$(UV) pip install --quiet --python $(BIN)/python --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# The hottest functions, compiled; without a compiler their Python twins do the same. No fused multiplications: a
# score is to have the same bits from both.
%/_hot.built: %/_hot.c .venv/.complete
	@rm -f $*/_hot.*.so
	@$${CC:-cc} -O2 -ffp-contract=off -shared -fPIC \
		-I"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')" $< -lm \
		-o "$*/_hot$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')" \
		2>$(CACHE)/compile.log || { rm -f $*/_hot.*.so; \
		echo "setup: $< isn't compiled ($(CACHE)/compile.log says why); Tidings is slower, and otherwise the same"; }
	@touch $@

$(CACHE)/cdnow/CDNOW_master.txt: .ci/lifetimes.lock .ci/cdnow.sha256
	@.ci/needs python '$(PYTHON)'
	@echo 'setup: CDNOW purchases'
	@mkdir -p $(@D) $(CACHE)/downloads
	@$(PYTHON) -m pip download --quiet --no-cache-dir --no-deps --require-hashes --only-binary :all: \
		-r .ci/lifetimes.lock -d $(CACHE)/downloads
	@rm -rf $(CACHE)/lifetimes
	@$(PYTHON) -m zipfile -e $(CACHE)/downloads/[Ll]ifetimes-*.whl $(CACHE)/lifetimes
	@mv $(CACHE)/lifetimes/lifetimes/datasets/CDNOW_master.txt $@
	@rm -rf $(CACHE)/lifetimes
	@cd $(@D) && sha256sum --quiet --check ../../.ci/cdnow.sha256
	@touch $@

$(CACHE)/kafka/.complete: pom.xml kafka.sha256
	@.ci/needs java
	@.ci/needs maven
	@echo "setup: Kafka's jars"
	@mkdir -p $(CACHE)/kafka
	@mvn --quiet --batch-mode --no-transfer-progress -Dmaven.repo.local=$(CURDIR)/$(CACHE)/m2 package \
		>$(CACHE)/maven.log 2>&1 || { cat $(CACHE)/maven.log >&2; exit 1; }
	@cd $(CACHE)/kafka/libs && sha256sum --quiet --strict --check $(CURDIR)/kafka.sha256
	@touch $@

$(CACHE)/apicurio/.complete: .ci/apicurio/pom.xml .ci/apicurio/sha256
	@.ci/needs java
	@.ci/needs maven
	@echo 'registry: Apicurio'
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@mvn --quiet --batch-mode --no-transfer-progress -Dmaven.repo.local=$(CURDIR)/$(CACHE)/m2 -f .ci/apicurio/pom.xml package \
		>$(CACHE)/apicurio.log 2>&1 || { cat $(CACHE)/apicurio.log >&2; exit 1; }
	@cd $(@D) && sha256sum --quiet --strict --check $(CURDIR)/.ci/apicurio/sha256 && tar -xzf apicurio.tar.gz && rm apicurio.tar.gz
	@touch $@

$(CACHE)/stranger/.complete: $(UV) .ci/stranger.lock
	@echo "registry: Confluent's client"
	@$(UV) venv --quiet --allow-existing --python '$(PYTHON)' $(@D)
	@$(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes .ci/stranger.lock
	@touch $@

$(CACHE)/kafka/.archived: $(CACHE)/kafka/.complete .venv/.complete
	@echo "setup: archive of Kafka's classes"
	@$(BIN)/python -m tidings.services.kafka_archive
	@touch $@

clean:
	@[ ! -x $(BIN)/tidings ] || $(BIN)/tidings kafka stop
	rm -rf journeys/_hot.*.so journeys/_hot.built schemas/_hot.*.so schemas/_hot.built .venv .tidings .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .mutants
