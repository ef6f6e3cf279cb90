# Handlers in other languages than Rust, and the suite that compares them.

PYTHON := guest/python
JS     := guest/js
WIT    := $(wildcard wit/*.wit wit/deps/*/*.wit guest/wit/*.wit)
# Another table of messages for `make conformance`.
TABLE   =
# A component that was named on the command line is tried alone.
NAMED   = $(if $(findstring command,$(origin COMPONENT)),$(abspath $(COMPONENT)))

.PHONY: guest-python guest-js conformance

##@ Handlers in other languages
guest-python: $(PYTHON)/target/order-python.wasm ## build the example handler in Python

$(PYTHON)/target/order-python.wasm: $(PYTHON)/order.py $(PYTHON)/.venv/installed $(WIT)
	mkdir -p $(@D)
	cd $(PYTHON) && .venv/bin/componentize-py -q -d ../wit -w order componentize order -o target/order-python.wasm

$(PYTHON)/.venv/installed: $(PYTHON)/requirements.txt
	python3 -m venv $(PYTHON)/.venv
	$(PYTHON)/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

guest-js: $(JS)/target/order-js.wasm ## build the example handler in JavaScript

$(JS)/target/order-js.wasm: $(JS)/order.js $(JS)/build.js $(JS)/node_modules/.installed $(WIT)
	cd $(JS) && node build.js order.js target/order-js.wasm

$(JS)/node_modules/.installed: $(JS)/package-lock.json
	cd $(JS) && npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@

conformance: $(if $(NAMED),,guest guest-python guest-js) ## put all handlers through one table of messages, or one: COMPONENT=… (TABLE=…)
	LONGSHORE_CONFORMANCE='$(NAMED)' LONGSHORE_CONFORMANCE_TABLE='$(abspath $(TABLE))' \
		$(TEST) --test sandbox -- --nocapture $(if $(NAMED),,--include-ignored) conformance
