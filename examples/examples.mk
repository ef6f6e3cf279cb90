# The examples, which share one workspace of cargo, one of npm and one folder of Python packages.

EXAMPLES := examples
EXAMPLES_BUILT := $(EXAMPLES)/target
# Where the packages lie that become part of the components in Python. Those that make components lie in guest/python/.venv.
PACKAGES := $(EXAMPLES)/target/packages

# Tests use what the components were built with, the macros that read wit/ above all: with a profile of their own all of it would be
# compiled once more. What they compile themselves need not be fast.
QUICKLY  := CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16

.PHONY: examples examples-rust test-examples lint-examples test-sdks first-handler

##@ Examples
examples: examples-rust $(PYTHON)/target/http-probe.wasm $(foreach name,claim-check exactly-once,$(EXAMPLES_BUILT)/$(name)-python.wasm $(EXAMPLES_BUILT)/$(name)-typescript.wasm) ## build the examples, in three languages

examples-rust: wasm-target
	cd $(EXAMPLES) && cargo build --release --locked --target wasm32-wasip2
	cp $(EXAMPLES_BUILT)/wasm32-wasip2/release/claim_check.wasm $(EXAMPLES_BUILT)/claim-check-rust.wasm
	cp $(EXAMPLES_BUILT)/wasm32-wasip2/release/exactly_once.wasm $(EXAMPLES_BUILT)/exactly-once-rust.wasm
	# A handler of the tests, for what the examples do not use of the package for handlers.
	cd guest && cargo build --release --locked --target wasm32-wasip2 --target-dir ../$(EXAMPLES_BUILT) \
		--package longshore-guest --features http --example http_probe
	cp $(EXAMPLES_BUILT)/wasm32-wasip2/release/examples/http_probe.wasm $(EXAMPLES_BUILT)/http-probe-rust.wasm

test-examples: $(JS_SDK) $(EXAMPLES)/node_modules/.installed ## the tests of the examples, and of the SDK that they use, natively
	cd $(EXAMPLES) && $(QUICKLY) cargo test --release --locked
	cd guest && $(QUICKLY) cargo test --release --locked --package longshore-guest --features azure,http --target-dir ../$(EXAMPLES_BUILT)
	for it in $(PYTHON)/tests $(EXAMPLES)/*/python; do PYTHONPATH=$(PYTHON) python3 -m unittest discover -q -s $$it || exit 1; done
	node --test $(JS)/test/*.test.js
	cd $(EXAMPLES) && ../$(JS)/node_modules/.bin/esbuild --bundle --format=esm --platform=node --log-level=warning \
		--out-extension:.js=.mjs --outdir=target/tests claim-check/typescript/*.test.ts exactly-once/typescript/*.test.ts
	find $(EXAMPLES_BUILT)/tests -name "*.test.mjs" -exec node --test {} +

# The host is that of the other tests, so that it is built once, or BINARY.
test-sdks: wasm-target $(JS_SDK) docker-registry ## a project of `longshore new` in each language, with the packages as registries have them: built, run, pushed
	$(if $(BINARY),,$(TEST_HOST))
	LONGSHORE_BINARY=$(abspath $(or $(BINARY),$(TARGET)/debug/longshore)) python3 guest/tests/published.py $(ARGS)

first-handler: wasm-target $(JS_SDK) $(if $(BINARY),,host) ## how long it takes from the program to the first message of one's own handler: make first-handler ARGS=python
	LONGSHORE_BINARY=$(abspath $(or $(BINARY),$(TARGET)/release/longshore)) python3 guest/tests/first_handler.py $(ARGS)

lint-examples: wasm-target $(JS_SDK) $(EXAMPLES)/node_modules/.installed ## formatting, lints and types of the examples
	cd $(EXAMPLES) && cargo fmt --all --check
	cd $(EXAMPLES) && cargo clippy --release --locked --target wasm32-wasip2 -- -D warnings
	cd guest && cargo clippy --release --locked --target wasm32-wasip2 --target-dir ../$(EXAMPLES_BUILT) --package longshore-guest \
		--features azure,http --examples --lib -- -D warnings
	cd $(EXAMPLES) && ../$(JS)/node_modules/.bin/tsc

# What one command makes components with.
BUILD_PYTHON := PYTHONPATH=$(PYTHON) $(PYTHON)/.venv/bin/python -m longshore_guest build

# A handler of the tests, for what the examples in Python do not use of the package for handlers.
$(PYTHON)/target/http-probe.wasm: $(PYTHON)/.venv/installed $(PYTHON)/tests/http_probe.py $(PYTHON_SDK)
	$(BUILD_PYTHON) $(PYTHON)/tests/http_probe.py -o $@

$(EXAMPLES_BUILT)/%-python.wasm: $(PACKAGES)/.installed $(wildcard $(EXAMPLES)/*/python/*.py) $(PYTHON_SDK)
	$(BUILD_PYTHON) $(EXAMPLES)/$*/python/$(subst -,_,$*).py -p $(PACKAGES) -o $@

$(EXAMPLES_BUILT)/%-typescript.wasm: $(JS_SDK) $(EXAMPLES)/node_modules/.installed $(wildcard $(EXAMPLES)/*/typescript/*.ts)
	node $(JS)/bin/build.js $(EXAMPLES)/$*/typescript/$(subst -,_,$*).ts -o $@

# Without what `cryptography` brings, which is native: longshore_guest/azure.py says what stands for it.
$(PACKAGES)/.installed: $(EXAMPLES)/requirements.txt $(PYTHON)/.venv/installed
	$(PYTHON)/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile --upgrade --target $(@D) -r $<
	touch $@

$(EXAMPLES)/node_modules/.installed: $(EXAMPLES)/package-lock.json
	cd $(EXAMPLES) && npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@
