# Targets of edgefer. Bare `make` lists them.
#
# Two environments: `.venv-device` is what a device has (no TensorFlow) and serves
# `make demo`; `.venv` has everything. Both are filled by plain pip, because it is
# there with python3 and reads the machine's pip.conf (on a Raspberry Pi, piwheels),
# and both hold exactly what constraints.txt pins, the build backend included.

SHELL  := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
RECIPE ?= small
RUN    ?= runs/$(RECIPE)
BUNDLE ?= $(RUN)/bundle
DATA   ?= $(EDGEFER_DATA)
FORMATS ?=
PYTEST ?=
CUTS   ?= 20
UV     := uv==0.13.9
AUDIT  := pip-audit==2.10.1
# How many workers, and that the longest files go first: tests/conftest.py. A file's tests share one.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

PINS    := pyproject.toml constraints.txt device/assets.txt
SOURCES := edge train convert device tests
data    := $(if $(DATA),--data "$(DATA)")
# SECONDS counts only as an argument of make: some shells keep a variable of that name.
seconds := $(if $(filter command,$(origin SECONDS)),--seconds $(SECONDS))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv-device/installed ## the mirror, with a camera or without (SECONDS=20 to stop by itself)
	.venv-device/bin/edgefer run --camera auto: --sink console: --sink mirror: $(seconds)

.PHONY: test
test: .venv/installed debian-for-tests ## the tests but slow and system ones (EDGEFER_DATA=DIR: on real faces too)
	.venv/bin/python -m pytest $(PARALLEL) -m "not slow and not system" $(PYTEST)

.PHONY: test-all
test-all: .venv/installed debian-for-tests ## every test, as CI does
	.venv/bin/python -m pytest $(PARALLEL) $(PYTEST)

.PHONY: check
check: lint types test ## ruff, mypy strict, then the tests

.PHONY: check-all
check-all: lint types docs test-all ## the same with every test, and the documentation

.PHONY: rig
rig: .venv/installed debian-for-tests debian-for-rig ## a device without hardware: containers, machines, Arm, CUTS=20 power cuts
	RIG_CUTS=$(CUTS) .venv/bin/python -m pytest -s tests/rig/test_*.py tests/rig/rig_*.py $(PYTEST)

.PHONY: fuzz
fuzz: .venv/installed ## every parser with odd files and messages, an hour (FUZZ="--cases 1000 recipe csv")
	PYTHONPATH=tests .venv/bin/python -m fuzz.run $(FUZZ)

.PHONY: advisories
advisories: .venv/installed ## pinned packages with a known weakness, online (SERVICE=osv: by osv.dev)
	@test -x .cache/audit/bin/pip-audit || { .venv/bin/python -m venv --clear .cache/audit \
	    && .cache/audit/bin/python -m pip install --quiet $(AUDIT); }
	.cache/audit/bin/pip-audit --disable-pip --no-deps --vulnerability-service $(or $(SERVICE),pypi) \
	    $(addprefix --requirement ,constraints.txt device/pins/base.txt device/pins/onnx.txt)

.PHONY: lint
lint: .venv/installed
	.venv/bin/ruff check
	.venv/bin/ruff format --check

.PHONY: types
types: .venv/installed
	.venv/bin/mypy

.PHONY: train
train: .venv/installed ## train RECIPE=small on DATA=DIR into RUN=runs/small
	.venv/bin/edgefer train --recipe $(RECIPE) $(data) --out $(RUN)

.PHONY: quantize
quantize: .venv/installed ## quantization-aware fine-tuning of RUN
	.venv/bin/edgefer quantize --run $(RUN) $(data)

.PHONY: convert
convert: .venv/installed ## RUN to a gated model bundle, BUNDLE=runs/small/bundle (FORMATS=all: every form)
	.venv/bin/edgefer convert --run $(RUN) $(data) $(FORMATS:%=--formats %) --out $(BUNDLE)

.PHONY: seeds
seeds: .venv/installed ## table of the seeds' networks on DATA, trained where they are not (SHOW=1: as it is)
	.venv/bin/python tools/training_table.py seeds $(DATA) runs/seeds $(if $(SHOW),--show)

.PHONY: balance
balance: .venv/installed ## table of the ways to balance labels, by tiny on DATA (SHOW=1: as it is)
	.venv/bin/python tools/training_table.py balance $(DATA) runs/balance $(if $(SHOW),--show)

.PHONY: augmentation
augmentation: .venv/installed ## table of what each camera degradation adds, by tiny on DATA (SHOW=1: as it is)
	.venv/bin/python tools/training_table.py augmentation $(DATA) runs/augmentation $(if $(SHOW),--show)

.PHONY: bench
bench: .venv-device/installed ## how fast the shipped model runs on this machine
	.venv-device/bin/edgefer bench --short

.PHONY: bench-arm
bench-arm: .venv/installed debian-for-tests ## instructions on emulated Arm cores (MODEL=small; WRITE=1: the baseline)
	PYTHONPATH=tests .venv/bin/python -m arm.bench --model $(or $(MODEL),small) $(if $(WRITE),--write)

.PHONY: bench-peers
bench-peers: .venv/installed ## other packages beside ours, in one run (FACES=500, PEERS="fer facex")
	.venv/bin/python -m pip install --quiet $(UV)
	PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHONPATH=tests .venv/bin/python -m peers.bench $(data) $(FACES:%=--faces %) $(PEERS)

.PHONY: docs
docs: .venv/installed ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --site-dir build/site

# What is installed on devices, with the hashes of its files; pip is sent along.
PIP    := 26.3
hashed := .venv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links -c constraints.txt
.PHONY: constraints
constraints: .venv/installed ## pin again what still fits (UPGRADE=--upgrade: the newest)
	.venv/bin/python -m pip install --quiet $(UV)
	.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --all-extras $(UPGRADE) \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	    --output-file constraints.txt pyproject.toml
	sed -i '1i # Written by `make constraints` from pyproject.toml: do not edit.' constraints.txt
	echo pip==$(PIP) | $(hashed) --extra device --output-file device/pins/base.txt pyproject.toml -
	echo onnxruntime | $(hashed) --output-file device/pins/onnx.txt -
	$(hashed) --no-deps --output-file device/pins/assets.txt device/assets.txt
	sed -i '1i # Written by `make constraints`: do not edit.' device/pins/*.txt

.PHONY: clean
clean: ## remove environments, caches and builds; runs/ stays
	rm -rf .venv .venv-device .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# --- environments ------------------------------------------------------------

.venv-device/installed: EXTRAS := device
.venv/installed: EXTRAS := train,sweep,device,deploy,ethos-u,dev

# ensurepip is what Debian's python3 lacks until python3-venv is there.
.venv-device/installed .venv/installed: $(PINS)
	@echo "make: installing edgefer[$(EXTRAS)] into $(@D)"
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(call debian,python3-venv); }
	@test -x $(@D)/bin/pip || $(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --constraint constraints.txt hatchling
	@$(@D)/bin/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
	    --editable '.[$(EXTRAS)]'
	@$(@D)/bin/python -m pip install --quiet --no-deps --requirement device/assets.txt
	@touch $@

# --- Debian packages ---------------------------------------------------------

# Where Debian keeps mosquitto, udevadm and mke2fs; not everybody's PATH has it.
export PATH := $(PATH):/usr/sbin:/sbin

# $(call debian,PACKAGES) installs them as root or through a sudo that asks nothing;
# otherwise it says what to type and fails.
sudo   := $(if $(filter 0,$(shell id -u)),,$(if $(shell command -v sudo),sudo -n,false) )
debian  = command -v apt-get >/dev/null \
    && $(sudo)apt-get update -qq \
    && $(sudo)env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1) >/dev/null \
    || { echo "make: cannot install here; run: sudo apt-get install $(1)" >&2; exit 1; }

# A broker, a browser, what runs and fetches JavaScript, what sees system calls, a screen without
# a panel, and the programs that read a device's settings. Where they cannot be installed, their
# tests skip and say so.
# program=package, for `npm` comes with some packages of Node.js and conflicts with others: what is
# there already is not asked for.
tests-programs := mosquitto=mosquitto chromium=chromium chromedriver=chromium-driver strace=strace \
    cc=build-essential systemd-analyze=systemd udevadm=udev cloud-init=cloud-init netplan=netplan.io cage=cage \
    Xwayland=xwayland wlr-randr=wlr-randr grim=grim openssl=openssl node=nodejs npm=npm mmdebstrap=mmdebstrap \
    systemd-nspawn=systemd-container slirp4netns=slirp4netns ssh=openssh-client \
    qemu-aarch64=qemu-user
# $(call missing,PROGRAM=PACKAGE...) is a shell's list of the packages whose program is not there.
missing = $$(for one in $(1); do type "$${one%%=*}" >/dev/null 2>&1 || echo "$${one\#*=}"; done)
.PHONY: debian-for-tests
debian-for-tests:
	@wanted=$(call missing,$(tests-programs)); [ -z "$$wanted" ] \
	    || ( $(call debian,$$wanted) ) || echo "make: testing without them" >&2
	@$(MAKE) -s .cache/udev/bin/udevadm || echo "make: udev's rules stay unread" >&2

# What whole machines run on, and what makes disks for them.
rig-programs := qemu-system-aarch64=qemu-system-arm qemu-system-x86_64=qemu-system-x86 \
    qemu-aarch64-static=qemu-user-static cpio=cpio modprobe=kmod
.PHONY: debian-for-rig
debian-for-rig:
	@wanted=$(call missing,$(rig-programs)); [ -z "$$wanted" ] || { $(call debian,$$wanted); }

# Debian 12's udevadm (252) cannot verify rules, 254 and later can. Its backports have one: it is
# unpacked beside the system's, from the machine's own mirror, and nothing is installed.
udev-list = $(1) -o Dir::Etc::SourceList=$(CURDIR)/.cache/udev-apt/list \
    -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$(CURDIR)/.cache/udev-apt/lists \
    -o Dir::Cache=$(CURDIR)/.cache/udev-apt/cache -o APT::Sandbox::User=root -qq
.cache/udev/bin/udevadm:
	@if [ "$$(udevadm --version)" -ge 254 ]; then exit 0; fi; \
	rm -rf .cache/udev .cache/udev-apt && mkdir -p .cache/udev-apt/lists/partial \
	    .cache/udev-apt/cache/archives/partial .cache/udev-apt/new; \
	mirror=$$(apt-get indextargets --format '$$(SITE) $$(RELEASE)' 'Created-By: Packages' \
	    | awk '$$2 == "bookworm" { print $$1; exit }'); \
	[ -n "$$mirror" ]; \
	echo "deb $$mirror bookworm-backports main" >.cache/udev-apt/list; \
	$(call udev-list,apt-get) update; \
	cd .cache/udev-apt; $(call udev-list,apt-get) download udev libsystemd-shared; \
	for package in *.deb; do dpkg-deb -x "$$package" new; done; \
	mv new ../udev; rm -rf "$(CURDIR)/.cache/udev-apt"
