# Every job that CI runs is a target here, so that a laptop and CI cannot disagree.
#
# `make run` shows the daemon with a simulated machine behind it; no Pi and no rights are needed. Each target installs the
# Debian packages it lacks, and says so. Downloads and the kernel are kept in ~/.cache/farhand.

export DEBIAN_FRONTEND = noninteractive
# Debian keeps mke2fs and depmod from the PATH of ordinary users, who may run them all the same.
export PATH := $(PATH):/usr/sbin:/sbin
NEED = image/need.sh
RUN_ADDRESS = 127.0.0.1:8443
# VARIANT=development gives a Pi's image a root shell on its console.
BOARD = virt
# Packages with the tools that the image tests run on this machine.
IMAGE_TESTS_NEED = chromium curl device-tree-compiler dosfstools e2fsprogs mtools openssl python3 qemu-user-static rauc squashfs-tools xz-utils
PHASE = tests/phases.sh begin

run: build ## Serve the simulated machine on https://127.0.0.1:8443
	mkdir -p out/data
	target/release/farhand serve --board sim --data out/data --https $(RUN_ADDRESS)

demo: image-quick ## Control a PC with a real BIOS, in a second virtual machine
	@image/need-qemu.sh qemu-system-arm qemu-system-x86
	tests/image/disc.sh
	cargo run --locked --example demo

build: tools web ## Build the daemon with the page inside
	cargo build --release --locked

web: web/dist/index.html ## Build the page

# The file that npm writes last. The folder itself is no measure, because tools keep caches in it.
NPM = node_modules/.package-lock.json

web/dist/index.html: web/$(NPM) $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print)
	cd web && npm run --silent build

web/$(NPM) tests/browser/$(NPM): %/$(NPM): %/package-lock.json | tools
	cd $* && npm ci --no-audit --no-fund --silent
	@touch $@

tools:
	@image/need-build.sh

check: tools web tests/browser/$(NPM) ## Formats, lints, licences, unit and host tests: about a minute when warm
	@$(PHASE) 'lints'
	@$(NEED) shellcheck
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	@# All targets but those with `test = false`.
	cargo clippy --locked --test image -- -D warnings
	@$(PHASE) 'unit and host tests'
	@$(NEED) curl device-tree-compiler dosfstools mtools openssl
	cargo test --locked
	@$(NEED) patch python3-kconfiglib xz-utils
	/usr/bin/python3 tests/host/bounds.py
	/usr/bin/python3 tests/host/buildroot.py
	/usr/bin/python3 tests/host/checks.py
	/usr/bin/python3 tests/host/files.py
	/usr/bin/python3 tests/host/library.py
	/usr/bin/python3 tests/host/linux.py
	/usr/bin/python3 tests/host/lists.py
	/usr/bin/python3 tests/host/crates.py
	/usr/bin/python3 tests/host/sbom.py
	/usr/bin/python3 tests/host/scripts.py
	/usr/bin/python3 tests/host/tools.py
	@$(PHASE) 'page and scripts'
	cd web && npm run --silent check
	cd tests/browser && npm run --silent check
	git ls-files -z '*.sh' overlay board | xargs -0 grep -lZE '^#!/bin/sh|^# shellcheck shell=sh' | xargs -0 shellcheck

test: ## Everything; reports at the end how long each phase took
	@tests/phases.sh run make --no-print-directory check test-browser test-image

test-browser: tools web tests/browser/$(NPM) ## The page in Chromium and Firefox, on the simulated machine
	@$(PHASE) 'browser tests'
	@$(NEED) chromium firefox-esr
	cargo build --locked --bin farhand --example appliance
	cd tests/browser && npx playwright test

test-image: image-quick tests/browser/$(NPM) ## The image in QEMU; ONLY=name runs one scenario
	@$(PHASE) 'image for rpi4'
	@$(NEED) $(IMAGE_TESTS_NEED)
	@image/need-qemu.sh qemu-system-arm qemu-system-x86
	tests/image/disc.sh
	image/assemble.sh rpi4 --development
	@$(PHASE) 'image tests'
	cargo test --locked --test image --config 'target."cfg(all())".runner="tests/image/run.py"' -- $(ONLY)

test-release: tools web ## Boot a Pi's production card as its owner would: IMG=card.img[.xz] BUNDLE=update.raucb
	@[ -s "$(IMG)" ] && [ -s "$(BUNDLE)" ] || { echo "name a card and its update: IMG=FILE BUNDLE=FILE" >&2; exit 1; }
	@$(NEED) $(IMAGE_TESTS_NEED)
	@image/need-qemu.sh qemu-system-arm qemu-system-x86
	FARHAND_IMG="$(abspath $(IMG))" FARHAND_BUNDLE="$(abspath $(BUNDLE))" cargo test --locked --test image -- production::

test-fresh: ## Both commands of the README in a new Debian; VIA=--user runs them with sudo instead of as root
	tests/fresh.sh $(VIA)

test-long: export FARHAND_LONG = 1
test-long: test-image ## As test-image, but all cases instead of a random few: hours, before a release

image-quick: tools web ## Build the image from Debian's arm64 packages; BOARD=rpi4 for a Pi's, else for QEMU
	@$(PHASE) 'image for $(BOARD)'
	image/assemble.sh $(BOARD) $(VARIANT:%=--%)

sbom: tools ## List what the image of BOARD consists of, so that a known security hole can be looked up
	@$(NEED) python3 squashfs-tools
	image/sbom.py $(BOARD)

image: tools web ## Build a release for a Pi with Buildroot: hours, and the internet
	FARHAND_VARIANT=$(VARIANT) image/buildroot.sh rpi4

pack: ## Pack the card of BOARD for its owners: out/farhand-BOARD-VERSION.img.xz and its map
	image/pack.sh $(BOARD)

contract: ## Check the image of a card, IMG=FILE, and its update, BUNDLE=FILE, before they are published
	@$(NEED) binutils cryptsetup-bin device-tree-compiler e2fsprogs fdisk kmod mtools python3 rauc squashfs-tools xz-utils
	board/common/check-card.sh "$(IMG)"
	[ -z "$(BUNDLE)" ] || board/common/check-bundle.sh "$(BUNDLE)" "$(IMG)"

bundle: ## Make the signed update of the image of BOARD, which must have been built
	image/bundle.sh $(BOARD)

bench: build ## Measure the video path, and Debian's ustreamer for comparison
	tests/bench/run.sh

bench-boot: image-quick ## Measure how long the image for QEMU takes from the kernel to the page
	tests/bench/boot.sh

clean: ## Remove what was built here; the cache in ~/.cache/farhand stays
	rm -rf target out web/dist web/node_modules tests/browser/node_modules tests/browser/results

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run demo build web tools check test test-browser test-image test-release image-quick image pack sbom contract bundle bench bench-boot clean help test-fresh test-long
