//! The crate carries the contract and the licence, since a crate of the registry has nothing above
//! its folder.

use std::path::Path;

#[test]
fn the_contract_in_the_crate_is_that_of_the_repository() {
    for file in ["handler.wit", "deps/config/store.wit", "deps/logging/logging.wit"] {
        assert_same(&format!("wit/{file}"));
    }
}

#[test]
fn the_licence_in_the_crate_is_that_of_the_repository() {
    assert_same("LICENSE");
}

fn assert_same(file: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    assert_eq!(read(&here.join(file)), read(&here.join("../..").join(file)), "{file}: `make wit` copies it");
}
