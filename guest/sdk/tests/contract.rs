//! The crate carries the contract, since a crate of the registry has nothing above its folder.

use std::path::Path;

#[test]
fn the_contract_in_the_crate_is_that_of_the_repository() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["handler.wit", "deps/config/store.wit", "deps/logging/logging.wit"] {
        let read =
            |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let (own, whole) = (here.join("wit").join(file), here.join("../../wit").join(file));
        assert_eq!(read(&own), read(&whole), "{file}: `make wit` copies it");
    }
}
