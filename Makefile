# `make` alone prints this help. Everything that is needed and missing is installed on the way, but for rustup and make.

QUEUE      ?= file:./queues/orders
MESSAGES   ?= 1000
# What the demonstration logs: `make run LOG=info` shows a line for each message.
LOG        ?= warn
# How many random kills `make torture` makes.
N          ?= 1000
# How many seconds `make fuzz` takes.
TIME       ?= 600

COMPONENT  := guest/target/wasm32-wasip2/release/order.wasm
LONGSHORE  := target/release/longshore
# Others to compare with, in Python, for `make bench`; `make bench ONLY=call` measures one part.
PEERS      := host/longshore/benches/peers
# Azurite, and the clients of other people, that judge the Storage queue.
STORAGE    := host/longshore/tests/services/storage
# A broker for tests of Service Bus queues, and the clients of other people that judge it.
SERVICEBUS := host/longshore/tests/services/servicebus
# The same features for linting and testing: dependencies are compiled once.
FEATURES   := --features longshore/failpoints

.DEFAULT_GOAL := help

include guest/languages.mk infra/azure.mk infra/check.mk
.PHONY: help run build guest host test test-guest test-host judge-broker verify-azure torture servicebus-100 fuzz fuzz-coverage bench lint features format clean wasm-target docker-registry

help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## send sample orders to a queue on this machine, drain it, and show what became of them
	@$(LONGSHORE) queue create --queue $(QUEUE) > /dev/null
	@echo "== longshore send --queue $(QUEUE) --sample $(MESSAGES)"
	@$(LONGSHORE) send --queue $(QUEUE) --sample $(MESSAGES)
	@echo "== longshore run --queue $(QUEUE) --component $(COMPONENT)"
	@$(LONGSHORE) run --log $(LOG) --queue $(QUEUE) --component $(COMPONENT)
	@echo "== longshore poison list --queue $(QUEUE)"
	@$(LONGSHORE) poison list --queue $(QUEUE)

build: host guest ## build the host and the handlers

host: ## build the host only
	cargo build --release --package longshore

guest: wasm-target ## build the handlers only
	cd guest && cargo build --release --target wasm32-wasip2

test: test-guest test-host ## run all tests

test-guest: wasm-target
	cd guest && cargo test --release

test-host: guest guest-python guest-js docker-registry $(STORAGE)/.venv/installed $(SERVICEBUS)/.venv/installed
	cargo test --workspace $(FEATURES)

$(STORAGE)/.venv/installed: $(STORAGE)/install.sh $(STORAGE)/node/package-lock.json $(STORAGE)/python/requirements.txt
	$(STORAGE)/install.sh
	touch $@

judge-broker: $(SERVICEBUS)/.venv/installed ## have the Service Bus broker of the tests judged by the official clients
	$(SERVICEBUS)/.venv/bin/python $(SERVICEBUS)/python/verdicts.py

$(SERVICEBUS)/.venv/installed: $(SERVICEBUS)/install.sh $(SERVICEBUS)/node/package-lock.json $(SERVICEBUS)/python/requirements.txt
	$(SERVICEBUS)/install.sh
	touch $@

verify-azure: guest $(STORAGE)/.venv/installed ## test a Storage queue for real: QUEUE_URL=https://ACCOUNT.queue.core.windows.net/orders, with your login
	$(STORAGE)/verify.sh "$(QUEUE_URL)"

docker-registry:
	@command -v docker-registry > /dev/null || { apt-get -q update && apt-get -qy install --no-install-recommends docker-registry; } \
		|| { echo 'install Debian'"'"'s package docker-registry, or run this as root' >&2; exit 1; }

torture: guest guest-python guest-js ## kill workers at N random moments and count what was lost: make torture N=1000
	LONGSHORE_TORTURE=$(N) cargo test --package longshore $(FEATURES) --test process -- --nocapture torture

fuzz: guest ## feed arbitrary bytes to the sandbox, and keep what ends in a new way: make fuzz TIME=600
	LONGSHORE_FUZZ_SECONDS=$(TIME) LONGSHORE_FUZZ_SEED=$$(date +%s)000000 LONGSHORE_FUZZ_KEEP=1 cargo test --package longshore-sandbox --test fuzz -- --nocapture

fuzz-coverage: guest ## how much of the load path fuzzing reaches (needs rustup's llvm-tools)
	LONGSHORE_FUZZ_SECONDS=$(TIME) host/sandbox/tests/fuzz/coverage.sh

servicebus-100: guest $(SERVICEBUS)/.venv/installed ## run the end-to-end test of Service Bus queues 100 times in a row
	LONGSHORE_ROUNDS=100 cargo test --package longshore $(FEATURES) --test services -- --nocapture from_sending

bench: guest guest-python guest-js $(PEERS)/.venv/installed $(STORAGE)/.venv/installed $(SERVICEBUS)/.venv/installed ## measure speed and memory, and print them beside their floors
	RUST_BACKTRACE=0 LONGSHORE_BENCH_PYTHON=$(abspath $(PEERS))/.venv/bin/python \
		LONGSHORE_BENCH_STORAGE_PYTHON=$(abspath $(STORAGE))/.venv/bin/python \
		LONGSHORE_BENCH_SERVICEBUS_PYTHON=$(abspath $(SERVICEBUS))/.venv/bin/python \
		cargo bench --package longshore --bench longshore -- $(ONLY)

$(PEERS)/.venv/installed: $(PEERS)/requirements.txt
	python3 -m venv $(PEERS)/.venv
	$(PEERS)/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

lint: wasm-target ## check formatting, and what clippy says
	cargo fmt --all --check
	cd guest && cargo fmt --all --check
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings
	cd guest && cargo clippy --workspace --all-targets -- -D warnings

features: ## check the host without a compiler, and the one that compiles for other architectures
	cargo clippy --package longshore --no-default-features -- -D warnings
	cargo clippy --package longshore --features all-targets -- -D warnings

format: ## format the sources
	cargo fmt --all
	cd guest && cargo fmt --all

clean: ## remove what was built, and the demonstration's queues
	cargo clean
	cd guest && cargo clean
	rm -rf queues

wasm-target:
	@rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2
