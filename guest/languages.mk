# Handlers in other languages than Rust, and the suite that compares them.

PYTHON := guest/python
JS     := guest/js
WIT    := $(wildcard wit/*.wit wit/deps/*/*.wit guest/wit/*.wit)
# The packages for handlers, as they lie here. The one for JavaScript is compiled.
PYTHON_SDK := $(wildcard $(PYTHON)/longshore_guest/*.py $(PYTHON)/longshore_guest/wit/*/*.wit)
JS_SDK     := $(JS)/dist/.built
# Another table of messages for `make conformance`.
TABLE   =
# A component that was named on the command line is tried alone.
NAMED   = $(if $(findstring command,$(origin COMPONENT)),$(abspath $(COMPONENT)))

.PHONY: guest-python guest-js conformance wit

##@ Handlers in other languages
guest-python: $(PYTHON)/target/order-python.wasm $(PYTHON)/target/session-probe.wasm ## build the example handler in Python

$(PYTHON)/target/order-python.wasm: $(PYTHON)/order.py $(PYTHON)/.venv/installed $(WIT)
	mkdir -p $(@D)
	cd $(PYTHON) && .venv/bin/componentize-py -q -d ../wit -w order componentize order -o target/order-python.wasm

# A handler of the tests, for what the example does not use of the package for handlers.
$(PYTHON)/target/session-probe.wasm: $(PYTHON)/.venv/installed $(PYTHON)/tests/session_probe.py $(PYTHON_SDK)
	PYTHONPATH=$(PYTHON) $(PYTHON)/.venv/bin/python -m longshore_guest build $(PYTHON)/tests/session_probe.py -o $@

$(PYTHON)/.venv/installed: $(PYTHON)/requirements.txt
	python3 -m venv $(PYTHON)/.venv
	$(PYTHON)/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

guest-js: $(JS)/target/order-js.wasm $(JS)/target/session-probe.wasm ## build the example handler in JavaScript

$(JS)/target/order-js.wasm: $(JS)/order.js $(JS_SDK)
	node $(JS)/bin/build.js $(JS)/order.js -o $@

$(JS)/target/session-probe.wasm: $(JS)/test/session_probe.js $(JS_SDK)
	node $(JS)/bin/build.js $(JS)/test/session_probe.js -o $@

$(JS_SDK): $(wildcard $(JS)/src/*.ts $(JS)/src/*/*.ts $(JS)/bin/*.js $(JS)/wit/*/*.wit) $(JS)/imports.d.ts $(JS)/tsconfig.json $(JS)/package.json $(JS)/node_modules/.installed
	rm -rf $(@D)
	cd $(JS) && node_modules/.bin/tsc
	touch $@

# A package of a registry has nothing above its folder: each carries the contract and the licence. Their tests compare them.
wit: ## copy the contract and the licence into the packages for handlers, after a change of wit/
	for it in sdk/wit:. python/longshore_guest/wit:handler js/wit:handler; do cp wit/handler.wit guest/$${it%%:*}/$${it##*:}/; done
	for it in sdk python js; do cp LICENSE guest/$$it/; done
	for it in sdk/wit/deps python/longshore_guest/wit js/wit; do cp wit/deps/config/store.wit guest/$$it/config/; \
		cp wit/deps/logging/logging.wit guest/$$it/logging/; done

$(JS)/node_modules/.installed: $(JS)/package-lock.json
	cd $(JS) && npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@

conformance: $(if $(NAMED),,guest guest-python guest-js) ## put all handlers through one table of messages, or one: COMPONENT=… (TABLE=…)
	LONGSHORE_CONFORMANCE='$(NAMED)' LONGSHORE_CONFORMANCE_TABLE='$(abspath $(TABLE))' \
		$(TEST) --test sandbox -- --nocapture $(if $(NAMED),,--include-ignored) conformance
