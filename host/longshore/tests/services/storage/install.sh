#!/bin/sh
# Installs what the tests of Storage queues work with: Azurite, and the clients of other people, all pinned.
set -eu
cd "$(dirname "$0")"
(cd node && npm ci --ignore-scripts --no-audit --no-fund --silent)
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r python/requirements.txt
