#!/bin/sh
# Runs the tests that need nothing of the broker's own on a real entity, with the caller's login. The entity is empty before and after.
set -eu
usage() {
    echo 'usage: make verify-servicebus QUEUE_URL=sb://NAMESPACE.servicebus.windows.net/QUEUE, a queue that is empty and that nobody uses, with sessions or without' >&2
    exit 2
}
case ${1-} in
    *\;* | *[Ss]hared[Aa]ccess*) usage ;;
    sb://?*/?*) ;;
    *) usage ;;
esac
LONGSHORE_VERIFY_SERVICEBUS=$1
export LONGSHORE_VERIFY_SERVICEBUS
# One after the other: they share the entity. VERIFY_TESTS names a build of the tests that is there already.
if [ -n "${VERIFY_TESTS-}" ]; then
    exec "$VERIFY_TESTS" servicebus::entity:: --test-threads 1
fi
exec cargo test --workspace --features longshore/failpoints --test services -- servicebus::entity:: --test-threads 1
