//! What can be wrong with a registry, what the host says of it, and that it costs no message
//! anything.

use serde_json::json;

use crate::registry::front::{Fate, Front};
use crate::registry::host::Host;
use crate::registry::server::Registry;

/// Runs with one message against a registry with a fault: no message is received for want of a
/// component.
fn unavailable(host: &Host, address: &str, words: &[&str]) {
    let ran = host.run(address, &["--hold", "0"]).ends_with(3).never_panicked();
    assert_eq!((&ran.json()["received"], &ran.json()["poisoned"]), (&0.into(), &0.into()), "{ran:?}");
    ran.says(words);
}

#[test]
fn whatever_a_registry_answers_no_message_is_received_and_the_host_says_what_is_wrong() {
    let (registry, host) = (Registry::start(), Host::new());
    let front = Front::start(&registry, None);
    let address = format!("oci://{}/order:1", front.name());
    host.push(&host.component("order.wasm", false), &address);
    for (fate, at, words) in [
        (
            Fate::Refuse(401, "UNAUTHORIZED"),
            "/manifests/",
            ["does not accept anonymous callers", "LONGSHORE_REGISTRY_USER"],
        ),
        (Fate::Refuse(403, "DENIED"), "/manifests/", ["does not let anonymous callers", "AcrPull"]),
        (
            Fate::Refuse(404, "NAME_UNKNOWN"),
            "/manifests/",
            ["no such repository, tag or digest", "was it pushed?"],
        ),
        (Fate::Refuse(429, "TOOMANYREQUESTS"), "/manifests/", ["cannot serve now", "429"]),
        (Fate::Refuse(503, "UNAVAILABLE"), "/blobs/", ["cannot serve now", "503"]),
        (
            Fate::Refuse(404, "BLOB_UNKNOWN"),
            "/blobs/",
            ["no such repository, tag or digest", "was it pushed?"],
        ),
        (Fate::Spoil, "/manifests/", ["something else than what has that digest", "push it again"]),
        (Fate::Spoil, "/blobs/", ["something else than what has that digest", "push it again"]),
        (Fate::Shorten, "/blobs/", ["something else than what has that digest", "push it again"]),
        (Fate::Cut, "/blobs/", ["no answer from the registry", "is its name right"]),
    ] {
        front.fate(move |_, path| if path.contains(at) { fate } else { Fate::Pass });
        unavailable(&host, &address, &words);
    }
    // None of these left anything in the cache that would be taken for the component.
    front.fate(|_, _| Fate::Pass);
    assert_eq!(host.run(&address, &[]).succeeded().json()["completed"], 1);
}

#[test]
fn what_is_not_there_and_what_is_no_component_is_named() {
    let (registry, host) = (Registry::start(), Host::new());
    let name = registry.name();
    let tag = format!("oci://{name}/order:1");
    host.push(&host.component("order.wasm", false), &tag);
    unavailable(&host, &format!("oci://{name}/order:2"), &["no such repository, tag or digest"]);
    unavailable(&host, &format!("oci://{name}/other:1"), &["no such repository, tag or digest"]);
    let wrong = format!("oci://{name}/order@sha256:{}", "0".repeat(64));
    unavailable(&host, &wrong, &["no such repository, tag or digest"]);

    let mut image = registry.manifest("order", "1");
    image["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
    registry.put_manifest("order", "image", &image);
    let tar = "none is application/wasm";
    unavailable(&host, &format!("oci://{name}/order:image"), &["it is no component", "tar+gzip", tar]);

    // The layer has the right name, and is text.
    let text = image["config"].clone();
    let mut damaged = registry.manifest("order", "1");
    damaged["layers"] =
        json!([{ "mediaType": "application/wasm", "digest": text["digest"], "size": text["size"] }]);
    registry.put_manifest("order", "text", &damaged);
    unavailable(
        &host,
        &format!("oci://{name}/order:text"),
        &["cannot load the component", "not a WebAssembly component"],
    );
}
