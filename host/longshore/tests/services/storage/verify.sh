#!/bin/sh
# Runs the tests that need nothing of Azurite's own on a real account, with the caller's login, on queues that are called
# QUEUE-MMDDhhmmss-…, and deletes these.
set -eu
case ${1-} in
    *\?* | '') echo 'usage: make verify-azure QUEUE_URL=https://ACCOUNT.queue.core.windows.net/QUEUE, without a SAS' >&2; exit 2 ;;
esac
here=$(dirname "$0")
LONGSHORE_VERIFY_QUEUE=${1%/}-$(date -u +%m%d%H%M%S)
export LONGSHORE_VERIFY_QUEUE
# Where an authority is named for us, Python's clients want it under another name.
if [ -n "${SSL_CERT_FILE-}" ]; then export REQUESTS_CA_BUNDLE="$SSL_CERT_FILE"; fi
trap '"$here/.venv/bin/python" "$here/python/clean.py" "$LONGSHORE_VERIFY_QUEUE"' EXIT
cargo test --workspace --features longshore/failpoints --test services -- storage::account::
