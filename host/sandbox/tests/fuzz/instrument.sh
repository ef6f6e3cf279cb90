#!/bin/sh
# Stands before rustc, for the crates of this workspace only.
rustc=$1
shift
exec "$rustc" "$@" -C instrument-coverage
