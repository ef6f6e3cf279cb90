//! How the program is linked.

use std::env;

/// Set to `1`, it packs the 80,000 addresses that the loader relocates at each start: 20 KB instead
/// of 2 MB, which each process reads and keeps. That takes a glibc of 2.36 or later, as the image
/// has (Debian 12). The archives of a release promise 2.34, so nobody gets this unasked. It is
/// none of the host's variables, which begin with `LONGSHORE_`: those are the user's, and the host
/// refuses one that it doesn't know, also in the environment of a build.
const PACKED: &str = "PACKED_RELOCATIONS";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={PACKED}");
    if env::var_os(PACKED).is_some_and(|value| value == "1") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
