//! The arrows between crates: those of ours as the table of docs/internals/architecture.md has
//! them, and what of others a crate may not have in its tree of dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::table::{Row, rows, table};

/// Crates of others, and what may not depend on them, directly or through others. A name stands for
/// its family as well: `wasmtime` for `wasmtime-wasi`.
const FORBIDDEN: [(&str, &[&str]); 10] = [
    ("longshore-handler", &["wasmtime", "oci-client", "azure", "fe2o3-amqp"]),
    ("longshore-queue", &["wasmtime", "oci-client", "azure", "fe2o3-amqp"]),
    ("longshore-azure", &["wasmtime", "oci-client", "fe2o3-amqp"]),
    ("longshore-queue-drivers", &["wasmtime", "oci-client"]),
    ("longshore-worker", &["wasmtime", "oci-client", "azure", "fe2o3-amqp"]),
    ("longshore-sandbox", &["oci-client", "azure", "fe2o3-amqp"]),
    ("longshore-component", &["fe2o3-amqp"]),
    ("longshore-dev", &["wasmtime", "oci-client", "azure", "fe2o3-amqp"]),
    ("longshore-failpoint", &["wasmtime", "oci-client", "azure", "fe2o3-amqp"]),
    ("longshore-testkit", &["wasmtime", "oci-client", "azure", "fe2o3-amqp"]),
];

/// Crates whose tests stay as small as they are: what only a test needs counts as well.
const SMALL: [&str; 3] = ["longshore-handler", "longshore-queue", "longshore-worker"];

/// What the tests of every other crate may use.
const TESTKIT: &str = "longshore-testkit";

/// A crate of the workspace, as `cargo metadata` describes it.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub folder: PathBuf,
    /// The first files of its library, programs and benches.
    pub roots: Vec<PathBuf>,
    /// The first files of its tests.
    pub tests: Vec<PathBuf>,
}

/// The crates of the workspace.
pub fn members() -> Vec<Member> {
    // Each test asks for them, and Cargo is asked once.
    static MEMBERS: LazyLock<Vec<Member>> = LazyLock::new(|| {
        metadata(&["--no-deps"])["packages"].as_array().unwrap().iter().map(member).collect()
    });
    MEMBERS.clone()
}

fn member(package: &Value) -> Member {
    let targets = |wanted: &dyn Fn(&str) -> bool| {
        let targets = package["targets"].as_array().unwrap().iter();
        let is = |target: &&Value| strings(&target["kind"]).any(wanted);
        targets.filter(is).map(|target| PathBuf::from(text(&target["src_path"]))).collect::<Vec<_>>()
    };
    // A library is of the kind `lib`, or of each type that it names: `rlib`, `cdylib`.
    let roots = targets(&|kind| !["test", "example", "custom-build"].contains(&kind));
    let name = text(&package["name"]);
    assert!(!roots.is_empty(), "{name} has no library, program or bench");
    let folder = PathBuf::from(text(&package["manifest_path"])).parent().unwrap().to_owned();
    Member { name, folder, roots, tests: targets(&|kind| kind == "test") }
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap())
}

fn metadata(flags: &[&str]) -> Value {
    let ran = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
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

/// What each package depends on, by name.
type Names = BTreeMap<String, BTreeSet<String>>;

/// What the packages depend on.
#[derive(Default)]
struct Dependencies {
    /// In use, or in building.
    built: Names,
    /// In tests and benches: known of crates of the workspace alone.
    tested: Names,
}

impl Dependencies {
    fn of(metadata: &Value) -> Self {
        let packages = metadata["packages"].as_array().unwrap();
        let names: BTreeMap<&str, String> = packages
            .iter()
            .map(|package| (package["id"].as_str().unwrap(), text(&package["name"])))
            .collect();
        let mut found = Self::default();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let name = &names[node["id"].as_str().unwrap()];
            let built = found.built.entry(name.clone()).or_default();
            let tested = found.tested.entry(name.clone()).or_default();
            for dependency in node["deps"].as_array().unwrap() {
                let on = &names[dependency["pkg"].as_str().unwrap()];
                for kind in dependency["dep_kinds"].as_array().unwrap() {
                    let of = if kind["kind"] == "dev" { &mut *tested } else { &mut *built };
                    of.insert(on.clone());
                }
            }
        }
        found
    }

    /// What a crate may not reach and does, each with the way to it.
    fn forbidden_ways(&self, of: &str, forbidden: &[&str]) -> Vec<String> {
        let mut ways = BTreeMap::from([(of, of.to_owned())]);
        let mut open = vec![of];
        let mut found = Vec::new();
        while let Some(package) = open.pop() {
            let tested = self.tested.get(package).filter(|_| package == of && SMALL.contains(&of));
            for dependency in self.built[package].iter().chain(tested.into_iter().flatten()) {
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

    /// Arrows between crates of ours that the table does not have, and those that it has in vain.
    fn other_arrows(&self, rows: &[Row]) -> Vec<String> {
        let mut wrong = Vec::new();
        for Row { name, depends_on, .. } in rows {
            let ours = |names: &Names| {
                let is_ours = |it: &&String| rows.iter().any(|row| row.name == **it);
                names.get(name).into_iter().flatten().filter(is_ours).cloned().collect::<BTreeSet<_>>()
            };
            let (built, mut tested) = (ours(&self.built), ours(&self.tested));
            if !SMALL.contains(&name.as_str()) {
                tested.remove(TESTKIT);
            }
            let more = built.difference(depends_on).map(|on| format!("{name} depends on {on}"));
            wrong.extend(more);
            let more = tested.difference(depends_on).map(|on| format!("a test of {name} depends on {on}"));
            wrong.extend(more);
            let less = depends_on.difference(&built).map(|on| format!("{name} does not depend on {on}"));
            wrong.extend(less);
        }
        wrong
    }
}

fn is_in_family(package: &str, name: &str) -> bool {
    let after = package.strip_prefix(name);
    after.is_some_and(|after| after.is_empty() || after.starts_with(['-', '_']))
}

#[test]
fn the_page_has_every_crate_with_its_folder() {
    let said: BTreeSet<_> = table().into_iter().map(|row| (row.name, row.folder)).collect();
    let root = longshore_testkit::root();
    let folder = |member: &Member| member.folder.strip_prefix(root).unwrap().display().to_string();
    let there: BTreeSet<_> = members().into_iter().map(|it| (it.name.clone(), folder(&it))).collect();
    assert_eq!(said, there, "mend the table of crates in architecture.md");
}

#[test]
fn the_arrows_between_crates_are_those_of_the_page() {
    let wrong = Dependencies::of(&metadata(&[])).other_arrows(&table());
    assert!(wrong.is_empty(), "architecture.md says otherwise:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_large_stays_out_of_the_trees_of_what_is_small() {
    let dependencies = Dependencies::of(&metadata(&[]));
    let mut wrong = Vec::new();
    for (of, forbidden) in FORBIDDEN {
        assert!(dependencies.built.contains_key(of), "{of} is no crate of the workspace: mend FORBIDDEN");
        wrong.extend(dependencies.forbidden_ways(of, forbidden));
    }
    assert!(wrong.is_empty(), "these crates may not depend on each other:\n{}", wrong.join("\n"));
}

#[test]
fn every_name_that_is_forbidden_is_in_use_somewhere() {
    let dependencies = Dependencies::of(&metadata(&[]));
    for name in FORBIDDEN.iter().flat_map(|(_, forbidden)| forbidden.iter()) {
        assert!(
            dependencies.built.keys().any(|package| is_in_family(package, name)),
            "nothing is called {name}: mend FORBIDDEN"
        );
    }
    for name in SMALL {
        assert!(dependencies.built.contains_key(name), "nothing is called {name}: mend SMALL");
    }
}

/// What these packages depend on: each with a name, the kind of its dependency, and on what.
fn planted(arrows: &[(&str, Option<&str>, &str)]) -> Dependencies {
    let names: BTreeSet<_> = arrows.iter().flat_map(|(of, _, on)| [of, on]).collect();
    let packages: Vec<_> = names.iter().map(|it| serde_json::json!({ "id": it, "name": it })).collect();
    let nodes = names.iter().map(|name| {
        let on = arrows.iter().filter(|(of, ..)| of == *name);
        let deps = on.map(|(_, kind, on)| serde_json::json!({ "pkg": on, "dep_kinds": [{ "kind": kind }] }));
        serde_json::json!({ "id": name, "deps": deps.collect::<Vec<_>>() })
    });
    let nodes: Vec<_> = nodes.collect();
    Dependencies::of(&serde_json::json!({ "packages": packages, "resolve": { "nodes": nodes } }))
}

#[test]
fn a_forbidden_dependency_is_found_behind_another() {
    let dependencies = planted(&[("component", None, "helper"), ("helper", Some("build"), "wasmtime-wasi")]);
    let ways = |forbidden: &[&str]| dependencies.forbidden_ways("component", forbidden);
    assert_eq!(ways(&["wasmtime"]), ["component -> helper -> wasmtime-wasi"]);
    assert!(ways(&["azure", "wasm", "wasmtime-wa"]).is_empty());
}

#[test]
fn what_a_test_needs_is_forbidden_where_the_tests_stay_small() {
    let small = planted(&[
        ("longshore-worker", Some("dev"), "wasmtime"),
        ("longshore-sandbox", Some("dev"), "azure"),
    ]);
    assert_eq!(small.forbidden_ways("longshore-worker", &["wasmtime"]), ["longshore-worker -> wasmtime"]);
    assert!(small.forbidden_ways("longshore-sandbox", &["azure"]).is_empty());
    let behind = planted(&[
        ("longshore-worker", None, "longshore-queue"),
        ("longshore-queue", Some("dev"), "oci-client"),
    ]);
    assert!(behind.forbidden_ways("longshore-worker", &["oci-client"]).is_empty(), "another crate's tests");
}

#[test]
fn an_arrow_that_the_page_does_not_have_is_found_and_one_that_it_has_in_vain() {
    let rows = rows(
        "| `longshore-worker` | `host/worker` | the loop | queue |\n\
         | `longshore-queue` | `host/queue` | the trait | none of ours |\n\
         | `longshore-azure` | `host/azure` | Azure | queue |\n\
         | `longshore-testkit` | `host/testkit` | for tests | none of ours |\n\
         | `longshore` | `host/longshore` | the program | all of them but testkit |\n",
    );
    let mut arrows = vec![
        ("longshore-worker", None, "longshore-queue"),
        ("longshore-azure", None, "longshore-queue"),
        ("longshore-azure", Some("dev"), "longshore-testkit"),
        ("longshore", None, "longshore-worker"),
        ("longshore", None, "longshore-queue"),
        ("longshore", None, "longshore-azure"),
    ];
    assert_eq!(planted(&arrows).other_arrows(&rows), Vec::<String>::new());
    arrows[1] = ("longshore-azure", None, "longshore-worker");
    arrows.push(("longshore-worker", Some("dev"), "longshore-testkit"));
    arrows.push(("longshore", None, "longshore-testkit"));
    assert_eq!(
        planted(&arrows).other_arrows(&rows),
        [
            "a test of longshore-worker depends on longshore-testkit",
            "longshore-azure depends on longshore-worker",
            "longshore-azure does not depend on longshore-queue",
            "longshore depends on longshore-testkit",
        ]
    );
}

fn package(kinds: &[&str]) -> Value {
    let targets: Vec<_> = kinds
        .iter()
        .map(|kind| serde_json::json!({ "kind": [kind], "src_path": format!("/host/a/src/{kind}.rs") }))
        .collect();
    serde_json::json!({ "name": "a", "manifest_path": "/host/a/Cargo.toml", "targets": targets })
}

#[test]
fn a_library_of_any_type_is_read() {
    let it = member(&package(&["rlib", "test", "custom-build"]));
    assert_eq!(it.roots, [PathBuf::from("/host/a/src/rlib.rs")]);
    assert_eq!(it.tests, [PathBuf::from("/host/a/src/test.rs")]);
}

#[test]
#[should_panic(expected = "a has no library, program or bench")]
fn a_crate_of_which_nothing_is_read_is_found() {
    member(&package(&["test"]));
}
