//! Machine code from a registry: executed where its digest was vouched for, and nowhere else.

use longshore_component::registry::{self, Access};
use longshore_sandbox::{self, Grants};
use serde_json::json;
use wasmtime::{Config, Engine, ModuleVersionStrategy};

use crate::registry::front::{Fate, Front};
use crate::registry::host::Host;
use crate::registry::server::Registry;

const USED: &str = "the precompiled component is used";
const UNUSED: &str = "the precompiled component is not used";

fn push(host: &Host, name: &str, traps: bool, address: &str) -> String {
    let component = host.component(name, traps);
    let pushed =
        host.start(&["push", "--precompiled", component.to_str().unwrap(), address]).succeeded().json();
    pushed["address"].as_str().unwrap().to_owned()
}

#[test]
fn machine_code_is_executed_if_a_digest_names_it_or_a_tag_that_is_trusted() {
    let (registry, host) = (Registry::start(), Host::new());
    let tag = format!("oci://{}/order:1", registry.name());
    let digest = push(&host, "order.wasm", false, &tag);
    let manifest = registry.manifest("order", "1");
    assert_eq!(manifest["layers"][1]["mediaType"], "application/vnd.longshore.precompiled.v1");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    assert_eq!(manifest["layers"][1]["annotations"]["longshore.target"], target);
    let inspected = host.start(&["inspect", &digest]).succeeded().json();
    assert_eq!(inspected["precompiled"], json!([target]));

    for (address, flags, word) in [
        (&digest, &[][..], USED),
        (&tag, &[], "a tag names it; name the digest, or set --trust-tag"),
        (&tag, &["--trust-tag"], USED),
    ] {
        let ran = host.run(address, flags).succeeded();
        assert_eq!(ran.json()["completed"], 1);
        ran.says(&[word]);
        assert_eq!(ran.stderr.contains(USED), word == USED, "{}", ran.stderr);
    }
    let both = host.run(&digest, &["--trust-tag", "--require-digest"]);
    assert_eq!(both.code(), 2);
}

#[test]
fn machine_code_that_was_vouched_for_needs_nothing_else_and_no_registry_again() {
    let (mut registry, host) = (Registry::start(), Host::new());
    let digest = push(&host, "order.wasm", false, &format!("oci://{}/order:1", registry.name()));
    let front = Front::start(&registry, None);
    let digest = digest.replace(&registry.name(), &front.name());
    assert_eq!(host.run(&digest, &[]).succeeded().json()["completed"], 1);
    let blobs = front.calls().iter().filter(|call| call.contains("/blobs/")).count();
    assert_eq!(blobs, 1, "the component itself was not fetched: {:?}", front.calls());
    registry.stop();
    let ran = host.run(&digest, &[]).succeeded();
    assert_eq!(ran.json()["completed"], 1);
    ran.says(&[USED]);

    // Cut short on the disk: compiled instead, which the registry would have to be up for.
    for entry in std::fs::read_dir(host.path("cache/oci")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().len() > 64 {
            std::fs::write(path, b"\x7fELF").unwrap();
        }
    }
    host.run(&digest, &["--hold", "0"]).ends_with(3).says(&[
        UNUSED,
        "this host cannot run it",
        "no answer from the registry",
    ]);
}

#[test]
fn machine_code_that_is_damaged_missing_or_another_component_s_is_not_executed() {
    let (registry, host) = (Registry::start(), Host::new());
    let front = Front::start(&registry, None);
    let digest = push(&host, "order.wasm", false, &format!("oci://{}/order:1", front.name()));
    let manifest = registry.manifest("order", "1");
    let layer = manifest["layers"][1]["digest"].as_str().unwrap().to_owned();
    for fate in [Fate::Spoil, Fate::Shorten, Fate::Refuse(404, "BLOB_UNKNOWN")] {
        let layer = layer.clone();
        front.fate(move |_, path| if path.ends_with(&layer) { fate } else { Fate::Pass });
        let ran = host.run(&digest, &[]).succeeded();
        assert_eq!(ran.json()["completed"], 1, "the component itself is there");
        ran.says(&[UNUSED]);
        host.forget();
    }
    front.fate(|_, _| Fate::Pass);

    // What the other one was compiled to would complete the message. This one traps.
    push(&host, "broken.wasm", true, &format!("oci://{}/order:broken", front.name()));
    let mut mixed = registry.manifest("order", "broken");
    mixed["layers"][1] = manifest["layers"][1].clone();
    registry.put_manifest("order", "mixed", &mixed);
    let ran = host.run(&format!("oci://{}/order:mixed", front.name()), &["--trust-tag"]).succeeded();
    assert_eq!(ran.json()["poisoned"], 1);
    ran.says(&[UNUSED, "it was made from the component sha256:"]);
}

#[test]
fn machine_code_of_another_engine_is_not_executed_and_the_component_is_compiled() {
    let (registry, host) = (Registry::start(), Host::new());
    let component = std::fs::read(host.component("order.wasm", false)).unwrap();
    let mut older = Config::new();
    older.module_version(ModuleVersionStrategy::Custom("older".to_owned())).unwrap();
    for (tag, engine, word) in [
        ("settings", Config::new(), "without epoch interruption"),
        ("version", older, "incompatible version 'older'"),
    ] {
        // As another host would have written it: whole, signed for by its digests, of this very
        // component.
        let made = Engine::new(&engine).unwrap().precompile_component(&component).unwrap();
        let header = json!({
            "longshore": "precompiled/1",
            "component": longshore_sandbox::digest(&component),
            "artifact": longshore_sandbox::digest(&made),
        });
        let artifact = [format!("{header}\n").as_bytes(), &made].concat();
        let address = format!("oci://{}/order:{tag}", registry.name()).parse().unwrap();
        let (description, access) =
            (longshore_sandbox::describe(&component, &Grants::default()).unwrap(), Access::default());
        let push = registry::push(
            &address,
            &access,
            component.clone().into(),
            &description,
            vec![(longshore_sandbox::own_target(), artifact.into())],
            [],
        );
        let digest = tokio::runtime::Runtime::new().unwrap().block_on(push).unwrap().address;
        let ran = host.run(&digest, &[]).succeeded();
        assert_eq!(ran.json()["completed"], 1, "the component itself is there");
        ran.says(&[UNUSED, "this host cannot run it", word]);
        assert!(!ran.stderr.contains(USED), "{}", ran.stderr);
    }
}
