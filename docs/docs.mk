# The book: built, generated and tested.

DOCS      := docs
# Beside the helpers of Cargo: the book is made of all that lies in docs/.
DOCS_VENV := $(TARGET)/tools/mdbook
MDBOOK    := $(DOCS_VENV)/bin/mdbook
BOOK      := $(abspath $(TARGET))/book

.PHONY: docs docs-generated test-docs

##@ The book
docs: $(DOCS_VENV)/installed ## build the book into target/book
	$(MDBOOK) build --dest-dir $(BOOK) $(DOCS)
	@rm -rf $(BOOK)/tests $(BOOK)/docs.mk $(BOOK)/book.toml $(BOOK)/requirements.in $(BOOK)/requirements.txt

# The host is that of the other tests, so that it is built once. BINARY names another one.
docs-generated: ## write the page of verbs and flags anew from the program's help
	$(if $(BINARY),,$(TEST_HOST))
	LONGSHORE_BINARY=$(abspath $(or $(BINARY),$(TARGET)/debug/longshore)) python3 $(DOCS)/tests/reference.py

# The tutorials build handlers in three languages, as the other tests of services do.
test-services: test-docs

test-docs: docs guest-js wasm-target ## test the book: links, words, the reference beside the program, and each block of commands
	$(if $(BINARY),,$(TEST_HOST))
	cd $(DOCS)/tests && LONGSHORE_BOOK=$(BOOK) LONGSHORE_BINARY=$(abspath $(or $(BINARY),$(TARGET)/debug/longshore)) \
		python3 -m unittest

# mdBook as one binary. Building it takes minutes.
$(DOCS_VENV)/installed: $(DOCS)/requirements.txt
	python3 -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install $(PIP_FLAGS) --requirement $<
	touch $@
