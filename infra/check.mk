# Checks of what goes to Azure: the templates, the queries, the az commands, the image.

INFRA_VENV := infra/tests/.venv
LINT_VENV  := infra/tests/.venv-lint
# Microsoft's parser of the query language, and who asks it.
QUERIES    := infra/tests/queries
KUBERNETES := infra/tests/kubernetes
# The real `az`, without most of its clients, and who has it read commands.
AZ         := infra/tests/az
PIP_FLAGS  := --quiet --disable-pip-version-check --require-hashes

# What builds and runs images, and what `make docker-run` adds to the command.
DOCKER     = docker
ARGS       =
# What `make test-image` and `make test-queries` take in place of what they would build.
BINARY     =
COMPONENTS =
ARM64      := aarch64-unknown-linux-gnu

# Cargo's own helpers, pinned, and installed where Cargo builds, so that your ~/.cargo/bin stays as it is.
TOOLS             := $(TARGET)/tools/bin
CARGO_DENY        := cargo-deny@0.20.2
CARGO_AUDITABLE   := cargo-auditable@0.7.7
CARGO_MUTANTS     := cargo-mutants@27.1.0

##@ Check what is shipped
.PHONY: deny deny-advisories auditable test-infra test-queries test-kubernetes test-az lint-infra infra-generated infra-requirements bicep-installed \
	docker-run test-image container-tools arm64 arm64-tools

# Apart from lint, since cargo-deny takes ten minutes of a core to install.
deny: $(TOOLS)/cargo-deny ## check licences, sources and duplicates of all crates that the host, the handlers and the examples are made of
	$(TOOLS)/cargo-deny --all-features check --hide-inclusion-graph licenses bans sources
	for it in guest examples; do $(TOOLS)/cargo-deny --manifest-path $$it/Cargo.toml --config deny.toml \
		check --hide-inclusion-graph licenses bans sources || exit 1; done

# Fetches RustSec's database from GitHub.
deny-advisories: $(TOOLS)/cargo-deny ## look for known vulnerabilities in them
	$(TOOLS)/cargo-deny --all-features check advisories
	for it in guest examples; do $(TOOLS)/cargo-deny --manifest-path $$it/Cargo.toml --config deny.toml check advisories || exit 1; done

$(TOOLS)/cargo-deny:
	cargo install --locked --root $(dir $(TOOLS)) $(CARGO_DENY)

$(TOOLS)/cargo-auditable:
	cargo install --locked --root $(dir $(TOOLS)) $(CARGO_AUDITABLE)

$(TOOLS)/cargo-mutants:
	cargo install --locked --root $(dir $(TOOLS)) $(CARGO_MUTANTS)

# As the Dockerfile builds it.
auditable: $(TOOLS)/cargo-auditable guest
	PACKED_RELOCATIONS=1 PATH="$(abspath $(TOOLS)):$$PATH" cargo auditable build --profile dist --package longshore --no-default-features --features compiler,otel

test-infra: bicep-installed $(INFRA_VENV)/installed test-queries test-kubernetes test-az ## check the templates, the queries and the az commands: syntax, names, types, roles, arithmetic
	$(INFRA_VENV)/bin/python -m pytest --quiet --ignore infra/tests/image --ignore $(QUERIES) --ignore $(KUBERNETES) --ignore $(AZ) infra/tests

# The host is that of the other tests, so that it is built once.
test-queries: $(INFRA_VENV)/installed $(QUERIES)/node_modules/.package-lock.json ## parse the queries of workbook, alerts and docs, and compare them with what the host logs
	$(if $(BINARY),,$(TEST_HOST))
	LONGSHORE_BINARY=$(abspath $(or $(BINARY),$(TARGET)/debug/longshore)) $(INFRA_VENV)/bin/python -m pytest --quiet $(QUERIES)

test-kubernetes: $(INFRA_VENV)/installed $(KUBERNETES)/node_modules/.package-lock.json ## check the manifests for Kubernetes by published schemas, and by the templates
	$(INFRA_VENV)/bin/python -m pytest --quiet $(KUBERNETES)

# Each module of az is read when its first command is: compiled before, all would be.
test-az: $(AZ)/.venv/installed ## have the real az read each command in Make, docs and hints of the binary
	$(AZ)/.venv/bin/python -m pytest --quiet $(AZ)

$(AZ)/.venv/installed: $(AZ)/requirements.txt
	python3 -m venv $(AZ)/.venv
	$(AZ)/.venv/bin/pip install $(PIP_FLAGS) --no-deps --no-compile --requirement $<
	touch $@

# After a change of the templates. In a review the predictions show what it changes on Azure.
infra-generated: bicep-installed ## write anew what is made from the templates: predictions, the compiled template, the page's parameters
	python3 infra/tests/generate.py

# npm writes this file when all is there.
$(QUERIES)/node_modules/.package-lock.json $(KUBERNETES)/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --ignore-scripts --no-audit --no-fund --silent
	touch $@

# Apart from test-infra, since checkov takes two minutes to install.
lint-infra: bicep-installed $(LINT_VENV)/installed ## what Bicep's linter and formatter and checkov say about the templates, and hadolint about the Dockerfile
	python3 infra/tests/lint.py
	$(LINT_VENV)/bin/hadolint Dockerfile
	python3 infra/tests/checked.py $(LINT_VENV)/bin/checkov

bicep-installed:
	@command -v bicep > /dev/null || { echo 'bicep is not on PATH: `az bicep install` and ~/.azure/bin, or a release of github.com/Azure/bicep, 0.49.2 or later' >&2; exit 1; }

$(INFRA_VENV)/installed: infra/tests/requirements.txt
	python3 -m venv $(INFRA_VENV)
	$(INFRA_VENV)/bin/pip install $(PIP_FLAGS) --requirement $<
	touch $@

$(LINT_VENV)/installed: infra/tests/requirements-lint.txt
	python3 -m venv $(LINT_VENV)
	$(LINT_VENV)/bin/pip install $(PIP_FLAGS) --requirement $<
	touch $@

infra-requirements: $(AZ)/.venv/installed ## pin anew what the checks need, after a change of infra/tests/*.in
	python3 -m venv $(INFRA_VENV)
	$(INFRA_VENV)/bin/pip install --quiet --disable-pip-version-check pip-tools
	for it in requirements requirements-lint; do $(INFRA_VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file infra/tests/$$it.txt infra/tests/$$it.in; done
	$(INFRA_VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-annotate \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file $(AZ)/requirements.txt $(AZ)/requirements.in
	awk 'NR == FNR { sub(/==.*/, ""); wanted[$$1]; next } /^[^ ]/ { split($$1, it, "=="); keep = it[1] in wanted } keep' \
		$(AZ)/requirements.in $(AZ)/requirements.txt > $(AZ)/.venv/wanted && mv $(AZ)/.venv/wanted $(AZ)/requirements.txt

# Without a Docker engine and without a registry: see infra/tests/image/stand_ins.py. As root, on Debian. A binary and components that
# are built already: make test-image BINARY=… COMPONENTS=…
test-image: $(if $(BINARY),,auditable) container-tools $(INFRA_VENV)/installed ## build the image on stand-ins for its bases, and run it as ACA would
	LONGSHORE_BINARY=$(or $(BINARY),$(TARGET)/dist/longshore) LONGSHORE_COMPONENTS=$(or $(COMPONENTS),$(dir $(COMPONENT))) \
		$(INFRA_VENV)/bin/python -m pytest --quiet -rP infra/tests/image

container-tools:
	@for it in buildah podman runc catatonit docker-registry; do command -v $$it > /dev/null || missing="$$missing $$it"; done; test -z "$$missing" \
		|| { apt-get update && apt-get install --yes --no-install-recommends ca-certificates $$missing; }

# Debian's cross compiler, and its emulator for one process: what an image for arm64 would hold, without such a machine.
arm64: arm64-tools guest ## build the host for linux/arm64, and run it under emulation
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc cargo build --profile dist --locked --package longshore --target $(ARM64)
	infra/tests/arm64.sh $(TARGET)/$(ARM64)/dist/longshore $(COMPONENT)

arm64-tools:
	@rustup target list --installed | grep -qx $(ARM64) || rustup target add $(ARM64)
	@for it in gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static; do dpkg -s $$it > /dev/null 2>&1 || missing="$$missing $$it"; done; test -z "$$missing" \
		|| { apt-get update && apt-get install --yes --no-install-recommends $$missing; }

# As yourself and with your own login; a file queue is in ./queues. What is mounted has to be there: Docker would make it, as root's.
docker-run: ## run it in a container with your Azure login: make docker-run QUEUE=https://…
	$(DOCKER) build --target dev --tag longshore:dev .
	mkdir -p queues "$$HOME/.azure"
	$(DOCKER) run --rm --init --tty --user "$$(id -u):$$(id -g)" --volume "$$HOME/.azure:/azure" \
		--volume "$(CURDIR)/queues:/work/queues" longshore:dev run --queue "$(QUEUE)" $(ARGS)
