# Checks of what goes to Azure: the templates, the az commands, the image.

INFRA_VENV := infra/tests/.venv
LINT_VENV  := infra/tests/.venv-lint
PIP_FLAGS  := --quiet --disable-pip-version-check --require-hashes

# What builds and runs images, and what `make docker-run` adds to the command.
DOCKER     = docker
ARGS       =
# What `make test-image` takes in place of what it would build.
BINARY     =
COMPONENTS =
ARM64      := aarch64-unknown-linux-gnu

# Cargo's own helpers, pinned, and installed where Cargo builds, so that your ~/.cargo/bin stays as it is.
TOOLS             := $(TARGET)/tools/bin
CARGO_DENY        := cargo-deny@0.20.2
CARGO_AUDITABLE   := cargo-auditable@0.7.7
CARGO_MUTANTS     := cargo-mutants@27.1.0

##@ Check what is shipped
.PHONY: deny deny-advisories auditable test-infra lint-infra infra-requirements docker-run test-image container-tools arm64 arm64-tools

# Apart from lint, since cargo-deny takes ten minutes of a core to install.
deny: $(TOOLS)/cargo-deny ## check licences, sources and duplicates of all crates that the host and the handlers are made of
	$(TOOLS)/cargo-deny --all-features check --hide-inclusion-graph licenses bans sources
	$(TOOLS)/cargo-deny --manifest-path guest/Cargo.toml --config deny.toml check --hide-inclusion-graph licenses bans sources

# Fetches RustSec's database from GitHub.
deny-advisories: $(TOOLS)/cargo-deny ## look for known vulnerabilities in them
	$(TOOLS)/cargo-deny --all-features check advisories
	$(TOOLS)/cargo-deny --manifest-path guest/Cargo.toml --config deny.toml check advisories

$(TOOLS)/cargo-deny:
	cargo install --locked --root $(dir $(TOOLS)) $(CARGO_DENY)

$(TOOLS)/cargo-auditable:
	cargo install --locked --root $(dir $(TOOLS)) $(CARGO_AUDITABLE)

$(TOOLS)/cargo-mutants:
	cargo install --locked --root $(dir $(TOOLS)) $(CARGO_MUTANTS)

# As the Dockerfile builds it.
auditable: $(TOOLS)/cargo-auditable guest
	PATH="$(abspath $(TOOLS)):$$PATH" cargo auditable build --profile dist --package longshore

test-infra: $(INFRA_VENV)/installed ## check the templates and the az commands: syntax, names, types, roles, arithmetic
	$(INFRA_VENV)/bin/python -m pytest --quiet --ignore infra/tests/image infra/tests

# Apart from test-infra, since checkov takes two minutes to install and a minute to run.
lint-infra: $(LINT_VENV)/installed ## what checkov says about the templates, and hadolint about the Dockerfile
	$(LINT_VENV)/bin/hadolint Dockerfile
	$(LINT_VENV)/bin/checkov --framework bicep --skip-download --quiet --compact --directory infra
	infra/tests/checkov-finds.sh $(LINT_VENV)/bin/checkov

$(INFRA_VENV)/installed: infra/tests/requirements.txt
	python3 -m venv $(INFRA_VENV)
	$(INFRA_VENV)/bin/pip install $(PIP_FLAGS) --requirement $<
	touch $@

$(LINT_VENV)/installed: infra/tests/requirements-lint.txt
	python3 -m venv $(LINT_VENV)
	$(LINT_VENV)/bin/pip install $(PIP_FLAGS) --requirement $<
	touch $@

infra-requirements: ## pin anew what the checks need, after a change of infra/tests/*.in
	python3 -m venv $(INFRA_VENV)
	$(INFRA_VENV)/bin/pip install --quiet --disable-pip-version-check pip-tools
	for it in requirements requirements-lint; do $(INFRA_VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file infra/tests/$$it.txt infra/tests/$$it.in; done

# Without a Docker engine and without a registry: see infra/tests/image/stand_ins.py. As root, on Debian. A binary and components that
# are built already: make test-image BINARY=… COMPONENTS=…
test-image: $(if $(BINARY),,auditable) container-tools $(INFRA_VENV)/installed ## build the image on stand-ins for its bases, and run it as ACA would
	LONGSHORE_BINARY=$(or $(BINARY),$(TARGET)/dist/longshore) LONGSHORE_COMPONENTS=$(or $(COMPONENTS),$(dir $(COMPONENT))) \
		$(INFRA_VENV)/bin/python -m pytest --quiet -rP infra/tests/image

container-tools:
	@for it in buildah podman runc catatonit; do command -v $$it > /dev/null || missing="$$missing $$it"; done; test -z "$$missing" \
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
