# `make` alone prints this help. It installs what is needed and missing on the way, except for rustup, make
# and what CONTRIBUTING.md names.
# CONTRIBUTING.md says what each tier of tests needs and how long it takes.

# Variables are set on the command line, as in `make run MESSAGES=10`. The environment sets none of them: names such as N, TIME
# or QUEUE may be there by chance.
QUEUE      = file:./queues/orders
MESSAGES   = 1000
# What the demonstration logs: `make run LOG=info` shows a line for each message.
LOG        = warn
# How many random kills `make torture` makes.
N          = 1000
# How many seconds `make fuzz` and `make soak` take.
TIME       = 600
# The part that `make bench` measures, or the target that `make fuzz` feeds; empty: every one.
ONLY       =
# The rows that `make bench ONLY=servicebus` measures, as in ROWS='2/64 10/256': round trip in ms, and concurrency; empty: all.
ROWS       =
# How often `make bench` runs: with 5 it prints the median and the spread of each figure.
RUNS       = 1
# The queue that `make verify-azure` or `make verify-servicebus` tests.
QUEUE_URL  =

COMPONENT  := guest/target/wasm32-wasip2/release/order.wasm
# Where cargo builds.
TARGET     := $(or $(CARGO_TARGET_DIR),target)
# The demonstration obeys its own flags: a variable of the shell, such as LONGSHORE_CONCURRENCY, is not its business.
LONGSHORE  := env $(foreach it,$(filter LONGSHORE_%,$(.VARIABLES)),$(if $(findstring environment,$(origin $(it))),-u $(it))) $(TARGET)/release/longshore
# Queue workers in Python, with which `make bench` compares.
PEERS      := host/longshore/benches/peers
# Azurite, and the official clients that judge the Storage queue.
STORAGE    := host/longshore/tests/services/storage
# The tests' own Service Bus broker, and the official clients that judge it.
SERVICEBUS := host/longshore/tests/services/servicebus

# Lints and tests name the same packages and features everywhere. Cargo computes the features of a dependency from both: a command
# with `--package` would compile tokio, and all that uses it, a second time.
WHOLE      := --workspace --features longshore/failpoints
TEST       := cargo test $(WHOLE)
CLIPPY     := cargo clippy $(WHOLE)
# The program as tests run it, in target/debug. `cargo build` leaves out what only tests ask of a dependency, and would compile tokio
# and all that uses it once more.
TEST_HOST  := $(TEST) --test process --no-run

.DEFAULT_GOAL := help

include guest/languages.mk examples/examples.mk infra/azure.mk infra/check.mk
.PHONY: help run build guest order host check lint lint-guest doc features test test-worker test-guest test-host test-services service-tests \
	services-installed judge-broker verify-azure verify-servicebus torture dev-scenarios servicebus-100 servicebus-100000 servicebus-sessions fuzz soak fuzz-coverage mutants bench format clean wasm-target docker-registry

include release/check.mk
include host/longshore/tests/page/page.mk

help: ## print this help
	@awk -F ':.*## ' '/^##@ / { section[++sections] = substr($$0, 5) } /^[a-z0-9-]+:.*## / { if (!(sections in section)) next; \
		lines[section[sections]] = lines[section[sections]] sprintf("  make %-18s %s\n", $$1, $$2) } \
		END { for (i = 1; i <= sections; i++) if (!done[section[i]]++) printf "\n%s\n%s", section[i], lines[section[i]] }' $(MAKEFILE_LIST)

##@ Try it
run: host order ## send sample orders to a queue on this machine, drain it, and show what became of them
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

# The demonstration needs one handler of three.
order: wasm-target
	cd guest && cargo build --release --target wasm32-wasip2 --package order

##@ Change it
check: lint ## the inner loop: formatting, lints, unit tests and the worker's tests
	$(TEST) --lib --test worker --test architecture

test-worker: ## the tests of the loop alone, under paused time
	$(TEST) --test worker

test: test-guest test-host ## every test that needs no service: the file queue, the sandbox, real processes, fuzzing

test-guest: wasm-target
	cd guest && cargo test --release

# The binary `services` is left out: its Cargo.toml says `test = false`.
test-host: guest
	$(TEST)

test-services: service-tests test-page lint-examples test-examples test-sdks test-infra ## tests with Azurite, a broker, a registry, handlers in Python and JavaScript, of the examples, of new projects and of infra/

service-tests: services-installed guest guest-python guest-js examples
	# Most of them wait for somebody: six at once, also on two cores. Four used a third of the processor's time.
	$(TEST) --test services -- --test-threads 6
	$(TEST) --test sandbox --test process -- --ignored --skip in_little_address_space --skip dev_scenarios

lint: lint-guest
	cargo fmt --all --check
	$(CLIPPY) --all-targets -- -D warnings
	$(CLIPPY) --test services -- -D warnings

lint-guest: wasm-target
	cd guest && cargo fmt --all --check
	cd guest && cargo clippy --workspace --all-targets -- -D warnings

# The same dependencies as in `check`, but for Wasmtime: naming a test keeps the features that tests ask for.
features: ## lint the host without a compiler, and the one that compiles for other architectures
	cargo clippy --workspace --no-default-features --lib --bins --test worker -- -D warnings
	cargo clippy --workspace --features longshore/all-targets --lib --bins --test worker -- -D warnings

doc: ## build the documentation of the crates; a broken link is an error
	RUSTDOCFLAGS='-D warnings' cargo doc $(WHOLE) --no-deps --document-private-items

format: ## format the sources
	cargo fmt --all
	cd guest && cargo fmt --all
	cd examples && cargo fmt --all

clean: ## remove what was built, and ./queues with every queue in it, also one of your own
	cargo clean
	cd guest && cargo clean
	rm -rf examples/target
	rm -rf queues

##@ Look closer
mutants: $(TOOLS)/cargo-mutants ## change the code in small ways and see which changes no test notices: host/mutants.md
	mkdir -p $(TARGET)/mutants
	$(TOOLS)/cargo-mutants mutants --output $(TARGET)/mutants $(ARGS)

torture: guest guest-python guest-js ## N schedules of faults, and workers killed at N random moments: what was lost: make torture N=1000
	LONGSHORE_SCHEDULES=$(N) $(TEST) --test worker -- --nocapture seeded_fault_schedules
	LONGSHORE_TORTURE=$(N) $(TEST) --test process -- --nocapture --include-ignored torture

dev-scenarios: guest ## run `longshore dev` on queues that fail, and compare with a simulation of KEDA: a quarter of an hour
	LONGSHORE_SIMULATED=$(abspath $(TARGET))/dev-simulated.txt $(TEST) --test worker -- --ignored the_scenarios_of_dev
	LONGSHORE_SIMULATED=$(abspath $(TARGET))/dev-simulated.txt $(TEST) --test process -- --nocapture --ignored dev_scenarios

# Each target has a corpus, and gets as much of the time as the others.
FUZZED     := $(notdir $(wildcard host/testkit/corpus/*))
fuzz: guest ## feed arbitrary bytes to all that reads bytes from outside, and keep what ends in a new way: make fuzz TIME=600 ONLY=queue-url
	$(if $(filter-out $(FUZZED),$(ONLY)),$(error there is no `$(ONLY)` to feed; there are: $(FUZZED)))
	LONGSHORE_FUZZ_SECONDS=$(if $(ONLY),$(TIME),$(shell expr $(TIME) / $(words $(FUZZED)))) LONGSHORE_FUZZ_SEED=$$(date +%s)000000 \
		LONGSHORE_FUZZ_KEEP=1 LONGSHORE_FUZZ_ONLY=$(ONLY) \
		$(TEST) --no-fail-fast --lib --test fuzz -- --nocapture --test-threads 1 --skip fuzz::tests fuzz:: whatever_is_loaded

soak: build ## messages that fail in each way, at 5 million an hour, while workers die: what grew, and what was lost: make soak TIME=3600
	TMPDIR=$(abspath $(TARGET)) LONGSHORE_SOAK_SECONDS=$(TIME) LONGSHORE_SOAK_PROGRAM=$(abspath $(TARGET))/release/longshore \
		$(TEST) --test process -- --nocapture soak::nothing

fuzz-coverage: guest ## how much of the load path fuzzing reaches (needs rustup's llvm-tools)
	LONGSHORE_FUZZ_SECONDS=$(TIME) host/sandbox/tests/fuzz/coverage.sh

servicebus-100: guest $(SERVICEBUS)/.venv/installed ## run the end-to-end test of Service Bus queues 100 times in a row
	LONGSHORE_ROUNDS=100 $(TEST) --test services -- --nocapture from_sending

servicebus-100000: guest $(SERVICEBUS)/.venv/installed ## take 100,000 messages from a Service Bus queue in one run, and watch its link and its memory: minutes
	$(TEST) --test services -- --nocapture --ignored a_hundred_thousand_messages

servicebus-sessions: guest $(SERVICEBUS)/.venv/installed ## work off 10,000 messages of 200 sessions through kills and cuts, and have their order judged
	$(TEST) --test services -- --nocapture --ignored ten_thousand_messages_of_two_hundred_sessions

judge-broker: $(SERVICEBUS)/.venv/installed ## have the Service Bus broker of the tests judged by the official clients
	$(SERVICEBUS)/.venv/bin/python $(SERVICEBUS)/python/verdicts.py

verify-azure: guest $(STORAGE)/.venv/installed ## test a Storage queue for real: QUEUE_URL=https://ACCOUNT.queue.core.windows.net/orders, with your login
	$(STORAGE)/verify.sh "$(QUEUE_URL)"

verify-servicebus: guest ## test a Service Bus queue for real: QUEUE_URL=sb://NAMESPACE.servicebus.windows.net/orders, with your login
	$(SERVICEBUS)/verify.sh "$(QUEUE_URL)"

bench: guest guest-python guest-js examples $(PEERS)/.venv/installed $(STORAGE)/.venv/installed $(SERVICEBUS)/.venv/installed ## measure speed and memory, and print them beside their floors: make bench ONLY=call RUNS=5
	PACKED_RELOCATIONS=1 RUST_BACKTRACE=0 $(if $(BINARY),BENCH_HOST=$(abspath $(BINARY))) BENCH_ROWS='$(ROWS)' BENCH_PYTHON=$(abspath $(PEERS))/.venv/bin/python \
		BENCH_STORAGE_PYTHON=$(abspath $(STORAGE))/.venv/bin/python \
		BENCH_SERVICEBUS_PYTHON=$(abspath $(SERVICEBUS))/.venv/bin/python \
		$(if $(filter-out 1,$(RUNS)),python3 host/longshore/benches/spread.py $(RUNS)) cargo bench --package longshore --bench longshore -- $(ONLY)

# What the steps above install.
services-installed: docker-registry $(PAGE)/node_modules/.installed $(STORAGE)/.venv/installed $(SERVICEBUS)/.venv/installed $(QUERIES)/node_modules/.package-lock.json

$(STORAGE)/.venv/installed: $(STORAGE)/install.sh $(STORAGE)/node/package-lock.json $(STORAGE)/python/requirements.txt
	$(STORAGE)/install.sh
	touch $@

$(SERVICEBUS)/.venv/installed: $(SERVICEBUS)/install.sh $(SERVICEBUS)/node/package-lock.json $(SERVICEBUS)/python/requirements.txt
	$(SERVICEBUS)/install.sh
	touch $@

$(PEERS)/.venv/installed: $(PEERS)/requirements.txt
	python3 -m venv $(PEERS)/.venv
	$(PEERS)/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

docker-registry:
	@command -v docker-registry > /dev/null || { apt-get -q update && apt-get -qy install --no-install-recommends docker-registry; } \
		|| { echo 'install Debian'"'"'s package docker-registry, or run this as root' >&2; exit 1; }

wasm-target:
	@rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

include docs/docs.mk
