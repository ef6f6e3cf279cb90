#!/usr/bin/env bash
# How much of the load path the corpus and some fuzzing reach, by LLVM's source-based coverage
# (https://doc.rust-lang.org/rustc/instrument-coverage.html). Needs `rustup component add llvm-tools`.
set -euo pipefail
cd "$(dirname "$0")/../../../.."
out=target/coverage
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
rm -rf "$out"
mkdir -p "$out"
export RUST_BACKTRACE=0 RUSTC_WORKSPACE_WRAPPER=$PWD/host/sandbox/tests/fuzz/instrument.sh LLVM_PROFILE_FILE=$PWD/$out/%p.profraw
flags=(--package longshore-sandbox --test fuzz)
cargo test "${flags[@]}"
binary=$(cargo test "${flags[@]}" --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
"$tools/llvm-profdata" merge -sparse "$out"/*.profraw -o "$out/fuzz.profdata"
"$tools/llvm-cov" report "$binary" --instr-profile="$out/fuzz.profdata" \
    host/sandbox/src/{load,describe,failure,grants,imports,invoke,limits}.rs
