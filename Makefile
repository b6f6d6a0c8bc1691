# Every target says what it is for: `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build bake demo demo-stop test test-unit test-vm test-sdk test-apps test-api test-contract test-ssh test-chaos test-sleep fuzz check fmt bench clean-data

# Scripts and tests look for what is built in `target`.
unexport CARGO_TARGET_DIR
export PANDO_DATA ?= /var/lib/pando
GUEST_TARGET := x86_64-unknown-linux-gnu

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | column -t -s '|'

setup: ## Install what building and running needs (Debian 12, as root)
	@scripts/setup

build: ## Build target/release/pando, the agent and the library beside it, and the forge stand-in
	@echo "==> building the guest agent (static)"
	@RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' \
		cargo build --release --locked --target $(GUEST_TARGET) -p pando-guest
	@echo "==> building pando"
	@cargo build --release --locked -p pando -p pando-vmm-preload -p pando-forge -p pando-bench
	@install -m 755 target/$(GUEST_TARGET)/release/pando-guest target/release/pando-guest-agent

bake: setup build ## Prepare the template ahead of time in PANDO_DATA (default /var/lib/pando)
	@target/release/pando bake

demo: setup build ## Serve Pando, open a pull request against a demo repository, print its live URL
	@scripts/demo start

demo-stop: ## Stop what `make demo` left running, with all of its sandboxes
	@scripts/demo stop

test: setup build test-unit test-contract fuzz test-vm test-sdk test-api ## Run every test
	@scripts/leftovers

test-unit: ## Tests that need no VM
	@# Not optimised: it is built much faster, and only starts others.
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked --debug cargo-nextest
	@cargo nextest run --locked --workspace --exclude pando-e2e --exclude pando-forge

test-contract: ## The forge stand-in against GitHub's published schema
	@scripts/fetch-contract
	@cargo nextest run --locked -p pando-forge

fuzz: ## Fuzz what reads hostile bytes: all briefly, or TARGET=name SECONDS=n
	@TARGET="$(TARGET)" SECONDS_EACH="$(SECONDS)" scripts/fuzz

test-vm: ## Tests in real microVMs, through the real binary
	@cargo nextest run --locked -p pando-e2e

test-chaos: build ## Kill server and VMMs 200 times each amid creates and deletes (a quarter of an hour; CI: 8 times)
	@PANDO_CHAOS_CYCLES=200 cargo nextest run --locked --profile long -p pando-e2e --test chaos --no-capture

test-sleep: build ## 1,000 rounds of sleep and wake, a VMM killed at each step of it, a disk full below the pool (half an hour; CI: 25 rounds)
	@PANDO_SLEEP_ROUNDS=1000 cargo nextest run --locked --profile long -p pando-e2e --run-ignored all --no-capture --test asleep --test machine_dies --test full_disk

test-ssh: ## Deploy keys against a real sshd of its own (needs root and openssh-server)
	@cargo nextest run --locked -p pando-deploy --run-ignored only ssh::

test-sdk: ## The public Python SDK, unmodified, against real VMs
	@scripts/test-sdk

test-apps: ## Apps of each kind by the SDK, and builds that are slow to do harm (three quarters of an hour; CI: some of them)
	@PANDO_SLOW_APPS=1 scripts/test-sdk -s tests/sdk/test_apps.py tests/sdk/test_build_secrets.py tests/sdk/test_hostile_repos.py

test-api: ## Every route of the API document with every field wrong, against a real server
	@scripts/test-api

check: ## Formatting, lints, dependency and licence audit, docs that build
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/audit
	@RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet

fmt: ## Format the code
	@cargo fmt --all

bench: setup build ## Measure creates, execs and previews beside the bare hypervisor, the edge beside nginx; see bench/RESULTS.md
	@scripts/fetch-nginx
	@target/release/pando-bench

clean-data: build ## Remove every sandbox, mount and namespace of PANDO_DATA
	@target/release/pando teardown
