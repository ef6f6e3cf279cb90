//! The arrows between crates: what each crate may not have in its tree of dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// A crate, and what may not be in its tree of ordinary dependencies. A name stands for its family
/// as well: `wasmtime` for `wasmtime-wasi`.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    ("longshore-handler", &["longshore"]),
    ("longshore-queue", &["longshore-worker", "longshore-sandbox", "azure", "wasmtime", "oci-client"]),
    (
        "longshore-queue-drivers",
        &["longshore-worker", "longshore-sandbox", "longshore-component", "wasmtime", "oci-client"],
    ),
    (
        "longshore-worker",
        &[
            "longshore-sandbox",
            "longshore-component",
            "longshore-azure",
            "longshore-queue-drivers",
            "wasmtime",
            "oci-client",
            "azure",
        ],
    ),
    ("longshore-sandbox", &["longshore-queue", "longshore-worker", "longshore-component", "oci-client"]),
    ("longshore-component", &["longshore-queue", "longshore-worker"]),
];

/// A crate of the workspace, as `cargo metadata` describes it.
pub struct Member {
    pub folder: PathBuf,
    /// The first files of its library, programs and benches.
    pub roots: Vec<PathBuf>,
}

/// The crates of the workspace.
pub fn members() -> Vec<Member> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    let members = packages.iter().map(|package| {
        let targets = package["targets"].as_array().unwrap().iter();
        let roots = targets.filter(|target| is_one_of(target, &["lib", "bin", "bench"]));
        Member {
            folder: PathBuf::from(text(&package["manifest_path"])).parent().unwrap().to_owned(),
            roots: roots.map(|target| text(&target["src_path"]).into()).collect(),
        }
    });
    members.collect()
}

fn is_one_of(target: &Value, kinds: &[&str]) -> bool {
    target["kind"].as_array().unwrap().iter().any(|kind| kinds.contains(&kind.as_str().unwrap()))
}

fn metadata(flags: &[&str]) -> Value {
    let ran = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(flags)
        .current_dir(longshore_testkit::root())
        .output()
        .expect("cargo can be run, since it runs these tests");
    assert!(ran.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Each package's ordinary dependencies by name: neither those of its tests nor those of its build
/// script.
fn ordinary_dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<&str, String> =
        packages.iter().map(|package| (package["id"].as_str().unwrap(), text(&package["name"]))).collect();
    let mut dependencies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let of = dependencies.entry(names[node["id"].as_str().unwrap()].clone()).or_default();
        for dependency in node["deps"].as_array().unwrap() {
            let mut kinds = dependency["dep_kinds"].as_array().unwrap().iter();
            if kinds.any(|kind| kind["kind"].is_null()) {
                of.insert(names[dependency["pkg"].as_str().unwrap()].clone());
            }
        }
    }
    dependencies
}

fn is_in_family(package: &str, name: &str) -> bool {
    let after = package.strip_prefix(name);
    after.is_some_and(|after| after.is_empty() || after.starts_with(['-', '_']))
}

/// What a crate may not reach and does, each with the way to it.
fn forbidden_ways(
    dependencies: &BTreeMap<String, BTreeSet<String>>,
    of: &str,
    forbidden: &[&str],
) -> Vec<String> {
    let mut ways = BTreeMap::from([(of, of.to_owned())]);
    let mut open = vec![of];
    let mut found = Vec::new();
    while let Some(package) = open.pop() {
        for dependency in &dependencies[package] {
            if ways.contains_key(dependency.as_str()) {
                continue;
            }
            let way = format!("{} -> {dependency}", ways[package]);
            if forbidden.iter().any(|name| is_in_family(dependency, name)) {
                found.push(way.clone());
            }
            ways.insert(dependency, way);
            open.push(dependency);
        }
    }
    found
}

#[test]
fn the_arrows_between_crates_point_one_way() {
    let dependencies = ordinary_dependencies(&metadata(&[]));
    let mut wrong = Vec::new();
    for (of, forbidden) in FORBIDDEN {
        assert!(dependencies.contains_key(of), "{of} is no crate of the workspace: mend FORBIDDEN");
        wrong.extend(forbidden_ways(&dependencies, of, forbidden));
    }
    assert!(wrong.is_empty(), "these crates may not depend on each other:\n{}", wrong.join("\n"));
}

#[test]
fn every_name_that_is_forbidden_is_in_use_somewhere() {
    let dependencies = ordinary_dependencies(&metadata(&[]));
    for name in FORBIDDEN.iter().flat_map(|(_, forbidden)| forbidden.iter()) {
        assert!(
            dependencies.keys().any(|package| is_in_family(package, name)),
            "nothing is called {name}: mend FORBIDDEN"
        );
    }
}

#[test]
fn a_forbidden_dependency_is_found_behind_another() {
    let names = ["worker", "helper", "wasmtime-wasi"];
    let dependencies = BTreeMap::from([
        (names[0].to_owned(), BTreeSet::from([names[1].to_owned()])),
        (names[1].to_owned(), BTreeSet::from([names[2].to_owned()])),
        (names[2].to_owned(), BTreeSet::new()),
    ]);
    assert_eq!(forbidden_ways(&dependencies, "worker", &["wasmtime"]), ["worker -> helper -> wasmtime-wasi"]);
    assert!(forbidden_ways(&dependencies, "worker", &["azure", "wasm", "wasmtime-wa"]).is_empty());
}

#[test]
fn dependencies_of_tests_are_not_ordinary() {
    let metadata = serde_json::json!({
        "packages": [{ "id": "1", "name": "worker" }, { "id": "2", "name": "tokio" }, { "id": "3", "name": "wasmtime" }],
        "resolve": { "nodes": [
            { "id": "1", "deps": [
                { "pkg": "2", "dep_kinds": [{ "kind": "dev" }, { "kind": null }] },
                { "pkg": "3", "dep_kinds": [{ "kind": "dev" }] },
            ] },
            { "id": "2", "deps": [] },
            { "id": "3", "deps": [] },
        ] },
    });
    assert_eq!(ordinary_dependencies(&metadata)["worker"], BTreeSet::from(["tokio".to_owned()]));
}
