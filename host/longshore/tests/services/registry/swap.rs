//! What a registry is for: logic is released, and swapped, without touching the host.

use crate::registry::front::{Fate, Front};
use crate::registry::host::Host;
use crate::registry::server::Registry;
use longshore_testkit::{guest, sample};

#[test]
fn a_pushed_component_runs_by_tag_and_by_digest_and_is_what_others_understand() {
    let (registry, host) = (Registry::start(), Host::new());
    let order = guest::order();
    let tag = format!("oci://{}/logic/order:1.0", registry.name());
    let version = "org.opencontainers.image.version=1.0";
    let pushed =
        host.start(&["push", order.to_str().unwrap(), &tag, "--annotation", version]).succeeded().json();
    let digest = pushed["manifest"].as_str().unwrap();
    assert_eq!(pushed["address"], format!("oci://{}/logic/order@{digest}", registry.name()));

    let manifest = registry.manifest("logic/order", "1.0");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["annotations"]["longshore.world"], "longshore:handler/guest");
    assert_eq!(manifest["annotations"]["longshore.world.version"], "0.1.0");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.0");
    let config = registry.blob("logic/order", manifest["config"]["digest"].as_str().unwrap());
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&"wasm".into(), &"wasip2".into()));
    assert_eq!(config["layerDigests"][0], manifest["layers"][0]["digest"]);
    assert_eq!(config["component"]["exports"][0], "longshore:handler/handler@0.1.0");
    let layer = registry.blob("logic/order", manifest["layers"][0]["digest"].as_str().unwrap());
    assert_eq!(layer, std::fs::read(&order).unwrap());

    for address in [&tag, pushed["address"].as_str().unwrap()] {
        let ran = host.run(address, &[]).succeeded();
        assert_eq!(ran.json()["completed"], 1);
        ran.says(&["\"started\"", digest]);
        let inspected = host.start(&["inspect", address]).succeeded().json();
        assert_eq!((&inspected["manifest"], &inspected["handler"]), (&digest.into(), &true.into()));
        assert_eq!(inspected["digest"], pushed["component"]);
        assert_eq!(inspected["annotations"]["longshore.world.version"], "0.1.0");
        host.start(&["invoke", "--component", address, &sample::order("o", "ok")]).succeeded();
    }
    let checked = host.start(&["check", "--queue", &host.queue(), "--component", &tag]);
    let last = checked.json_lines().pop().unwrap();
    assert_eq!((&last["check"], &last["result"]), (&"component loads".into(), &"yes".into()));
}

#[test]
fn a_release_is_a_tag_that_moves_and_the_way_back_is_a_digest() {
    let (registry, host) = (Registry::start(), Host::new());
    let tag = format!("oci://{}/order:stable", registry.name());
    let good = host.push(&host.component("good.wasm", false), &tag);
    assert_eq!(host.run(&tag, &[]).succeeded().json()["completed"], 1);
    let broken = host.push(&host.component("broken.wasm", true), &tag);
    assert_eq!(host.run(&tag, &[]).succeeded().json()["poisoned"], 1);
    let envelope = host.poisoned();
    let at = |address: &str| address.split_once('@').unwrap().1.to_owned();
    assert_eq!(envelope["component"], at(&broken), "the envelope names what can be fetched again");
    assert_eq!(host.run(&good, &["--require-digest"]).succeeded().json()["completed"], 1);
    assert_ne!(at(&good), at(&broken));

    let refused = host.run(&tag, &["--require-digest"]);
    assert_eq!(refused.code(), 2);
    refused.says(&["--require-digest refuses", "order:stable"]);
}

#[test]
fn a_tag_is_asked_for_once_in_an_execution_and_a_cached_digest_never() {
    let (registry, host) = (Registry::start(), Host::new());
    let front = Front::start(&registry, None);
    let tag = format!("oci://{}/order:1", front.name());
    let digest = host.push(&host.component("order.wasm", false), &tag);
    let asked = |what: &str| front.calls().iter().filter(|call| call.contains(what)).count();
    let (manifests, blobs) = (asked("GET /v2/order/manifests/"), asked("GET /v2/order/blobs/"));
    // The registry hands out the manifest, and the layer only at the fourth time. Three tries are
    // one load, and the next load follows after 30 s.
    let failures = std::sync::atomic::AtomicUsize::new(0);
    front.fate(move |_, path| {
        let fails =
            path.contains("/blobs/") && failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3;
        if fails { Fate::Refuse(503, "BUSY") } else { Fate::Pass }
    });
    let ran = host.run(&tag, &[]).succeeded();
    assert_eq!(ran.json()["completed"], 1, "it was loaded again: {ran:?}");
    ran.says(&["cannot fetch the component", "503"]);
    assert_eq!(asked("GET /v2/order/manifests/1"), manifests + 1);
    assert_eq!(asked("GET /v2/order/blobs/"), blobs + 4);
    let before = front.calls().len();
    assert_eq!(host.run(&digest, &[]).succeeded().json()["completed"], 1);
    assert_eq!(front.calls().len(), before, "all that a digest names is in the cache");
    assert_eq!(host.run(&tag, &[]).succeeded().json()["completed"], 1);
    assert_eq!(asked("GET /v2/order/manifests/1"), manifests + 2, "another execution asks again");
    assert_eq!(asked("GET /v2/order/blobs/"), blobs + 4);
}

#[test]
fn a_registry_that_is_down_is_no_fault_where_the_cache_holds_the_digest() {
    let (mut registry, host) = (Registry::start(), Host::new());
    let tag = format!("oci://{}/order:1", registry.name());
    let digest = host.push(&host.component("order.wasm", false), &tag);
    host.run(&digest, &[]).succeeded();
    registry.stop();
    assert_eq!(host.run(&digest, &[]).succeeded().json()["completed"], 1);

    let down = host.run(&tag, &["--hold", "0"]).ends_with(3);
    assert_eq!(down.json()["received"], 0, "what a tag means, only the registry knows");
    down.says(&["no answer from the registry", "refused", "named by its digest"]);

    host.forget();
    let down = host.run(&digest, &["--hold", "0"]).ends_with(3);
    down.says(&["no answer from the registry"]);
}

#[test]
fn a_damaged_cache_is_fetched_anew() {
    let (registry, host) = (Registry::start(), Host::new());
    let digest =
        host.push(&host.component("order.wasm", false), &format!("oci://{}/order:1", registry.name()));
    host.run(&digest, &[]).succeeded();
    for entry in std::fs::read_dir(host.path("cache/oci")).unwrap() {
        std::fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    let ran = host.run(&digest, &[]).succeeded();
    assert_eq!(ran.json()["completed"], 1);
    ran.says(&["a damaged file in the cache is not used"]);
}

#[test]
fn executions_that_start_at_once_share_a_cache() {
    let (registry, host) = (Registry::start(), Host::new());
    let digest = host.push(&guest::order(), &format!("oci://{}/order:1", registry.name()));
    let body = sample::order("o-1", "ok");
    let start = |_| host.program(&["invoke", "--component", &digest, &body]).start();
    let processes: Vec<_> = (0..6).map(start).collect();
    for process in processes {
        process.wait().succeeded();
    }
    assert_eq!(std::fs::read_dir(host.path("cache/oci")).unwrap().count(), 2, "a manifest and a layer");
}

#[test]
fn only_handlers_are_pushed() {
    let (registry, host) = (Registry::start(), Host::new());
    let other = host.path("other.wasm");
    std::fs::write(&other, wat::parse_str("(component)").unwrap()).unwrap();
    let address = format!("oci://{}/order:1", registry.name());
    let refused = host.start(&["push", other.to_str().unwrap(), &address]);
    assert_eq!(refused.code(), 3);
    refused.says(&["is no handler: it exports nothing"]);
}
