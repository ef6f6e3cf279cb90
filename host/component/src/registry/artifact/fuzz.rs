//! Arbitrary bytes as the manifest of an artifact.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{MAX_WHAT, Manifest, index};
use crate::registry::address::Address;

const MANIFEST_TARGET: &str = "registry-manifest";

/// The digest of nothing.
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ARTIFACT: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.wasm.config.v0+json","digest":"DIGEST","size":2},"layers":[{"mediaType":"application/wasm","digest":"DIGEST","size":7}],"annotations":{"a":"b"}}"#;
const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"DIGEST","size":7,"platform":{"os":"linux","architecture":"amd64"}}]}"#;

#[test]
fn whatever_a_registry_has_for_a_manifest_it_is_a_components_or_refused_in_few_words() {
    let seeds = [ARTIFACT, INDEX, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#];
    let seeds = seeds.map(|seed| seed.replace("DIGEST", DIGEST));
    let seeds = seeds.each_ref().map(String::as_str);
    let words = &[
        "\"layers\":[",
        "\"size\":",
        "\"digest\":",
        "\"manifests\":[",
        "\"annotations\":{",
        "null",
        "-1",
        "{",
        "[",
    ];
    let target = FuzzTarget::of_texts(MANIFEST_TARGET, module_path!(), words, &seeds);
    let address: Address = "oci://r.example/orders:1".parse().unwrap();
    feed(&target, |bytes| {
        let many = index(&address, bytes).map(|error| error.to_string());
        assert!(many.as_ref().is_none_or(|said| said.len() < 16 * MAX_WHAT), "{many:?}");
        match Manifest::read(bytes) {
            Ok(manifest) => {
                format!("a component {} {}", manifest.precompiled.is_empty(), manifest.annotations.is_empty())
            }
            Err(error) => format!("{} {error}", many.is_some()),
        }
    });
}
