#!/bin/sh
# Runs the host for arm64 under emulation, as `make arm64` has built it: arm64.sh HOST COMPONENT
# It compiles the component for its own kind of processor, and drains a queue with the result, and with one that it compiles by itself.
set -eu
host=$1 component=$2
# Where Debian keeps the C library for the other architecture.
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
longshore() { qemu-aarch64-static "$host" "$@" --output json; }
export LONGSHORE_CACHE_DIR="$directory/cache" LONGSHORE_QUEUE="file:$directory/orders" LONGSHORE_LOG=warn

longshore compile "$component" --to "$directory/order.cwasm"
longshore queue create
for precompiled in "--precompiled=$directory/order.cwasm" ''; do
    longshore send --sample 100 > /dev/null
    # A message whose work always fails is poisoned at once; emulated, each takes its time.
    summary=$(longshore run --component "$component" $precompiled --max-dequeue 1 --breaker 0 --deadline 60s)
    echo "$summary"
    echo "$summary" | grep -q '"received":100,"completed":9[0-9],'
done
