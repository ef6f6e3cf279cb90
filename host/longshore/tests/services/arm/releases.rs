//! `deploy`, `releases` and `rollback` together: a real registry, and jobs as ARM keeps them.

use std::path::{Path, PathBuf};

use longshore_testkit::program::Ended;
use longshore_testkit::wat;
use serde_json::{Value, json};

use crate::arm::check::{good, variable};
use crate::arm::jobs::Jobs;
use crate::arm::server::{JOB, Server};
use crate::registry::server::Registry;

/// A project's folder, a registry, and the job with the one that is started by hand.
pub struct Place {
    folder: tempfile::TempDir,
    pub registry: Registry,
    pub jobs: Jobs,
    pub server: Server,
}

/// The job that is started by hand.
pub fn manual() -> String {
    format!("{JOB}-manual")
}

impl Place {
    /// With this profile `azure` in the project file.
    pub fn new(profile: &str) -> Self {
        Self::with(profile, |_| {})
    }

    /// The same, with a change of both jobs.
    pub fn with(profile: &str, change: fn(&mut Value)) -> Self {
        let mut job = good();
        job["properties"]["configuration"]["secrets"] =
            json!([{ "name": "api-key", "value": "swordfish" }, { "name": "other", "value": "swordfish" }]);
        job["properties"]["template"]["volumes"] = json!([{ "name": "v", "storageType": "EmptyDir" }]);
        variable(&mut job, "API_KEY", json!({ "name": "API_KEY", "secretRef": "api-key" }));
        variable(&mut job, "MINE", json!("kept"));
        change(&mut job);
        let mut by_hand = job.clone();
        by_hand["properties"]["configuration"]["triggerType"] = json!("Manual");
        let jobs = Jobs::new([(JOB.to_owned(), job), (manual(), by_hand)]);
        let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::start());
        let project = format!(
            "queue = 'file:./queues/orders'\ncomponent = 'order.wasm'\n[profile.azure]\n\
             queue = 'https://account.queue.core.windows.net/orders'\n\
             component = 'oci://{}/handlers/order:1'\n{profile}",
            registry.name()
        );
        std::fs::write(folder.path().join("longshore.toml"), project).unwrap();
        let server = jobs.serve();
        let place = Self { folder, registry, jobs, server };
        place.build(1);
        place
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds a version of the handler.
    pub fn build(&self, version: u32) {
        let wasm = wat::handler(&format!("(global $version i32 (i32.const {version}))"), "");
        std::fs::write(self.file("order.wasm"), wasm).unwrap();
    }

    /// Runs the binary in the project's folder, with the profile.
    pub fn run(&self, args: &[&str]) -> Ended {
        let cache = self.file("cache");
        let env = [("LONGSHORE_CACHE_DIR", cache.to_str().unwrap()), ("LONGSHORE_PROFILE", "azure")];
        let ran = self.server.run_in(self.path(), args, &env);
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains("swordfish"), "a secret is shown: {text}");
        }
        ran
    }

    /// Deploys a version, and returns the digest.
    pub fn deploy(&self, version: u32) -> String {
        self.build(version);
        let done = self.run(&["deploy", "--tag", &format!("v{version}")]).succeeded().json();
        let address = done["component"].as_str().unwrap().to_owned();
        for job in [JOB.to_owned(), manual()] {
            assert_eq!(self.jobs.variable(&job, "LONGSHORE_COMPONENT"), Some(address.clone()), "{job}");
        }
        address.split_once('@').unwrap().1.to_owned()
    }
}

/// The job without the variables that are meant to change.
fn rest(job: &Value) -> Value {
    let mut rest = job.clone();
    variable(&mut rest, "LONGSHORE_COMPONENT", Value::Null);
    rest
}

#[test]
fn each_release_is_listed_and_a_rollback_changes_the_component_and_nothing_else() {
    let place = Place::new("");
    let before = [place.jobs.get(JOB), place.jobs.get(&manual())];
    let first = place.deploy(1);
    place.jobs.execute("orders-1", "Succeeded", "2026-11-20T10:00:00Z");
    place.jobs.execute("orders-2", "Succeeded", "2026-11-20T11:00:00Z");
    let second = place.deploy(2);
    place.jobs.execute("orders-3", "Failed", "2026-11-20T12:00:00Z");
    assert_ne!(first, second);
    let manifest = place.registry.manifest("handlers/order", "v2");
    let target = &manifest["layers"][1]["annotations"]["longshore.target"];
    assert_eq!(target, "x86_64-unknown-linux-gnu", "compiled for the job, whatever this machine is");

    let rows = place.run(&["releases"]).succeeded().json_lines();
    let seen = |row: &Value| {
        let count = |name: &str| row["ran"][name].as_u64().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&row["digest"]),
            text(&row["tags"][0]),
            row["in_force"] == true,
            count("executions"),
            count("failed"),
        )
    };
    assert_eq!(
        rows.iter().map(seen).collect::<Vec<_>>(),
        [(second.clone(), "v2".into(), true, 1, 1), (first.clone(), "v1".into(), false, 2, 0)]
    );
    assert_eq!(rows[1]["ran"]["first"], "2026-11-20T10:00:00Z");
    assert_eq!(rows[1]["ran"]["last"], "2026-11-20T11:00:00Z");
    assert!(rows[1]["created"].as_str() < rows[0]["created"].as_str(), "{rows:?}");

    let dry = place.run(&["rollback", "--dry-run"]).succeeded().json();
    assert!(dry["component"].as_str().unwrap().ends_with(&first) && dry["dry_run"] == true, "{dry}");
    assert!(place.jobs.variable(JOB, "LONGSHORE_COMPONENT").unwrap().ends_with(&second));
    let back = place.run(&["rollback"]).succeeded().json();
    assert!(back["before"].as_str().unwrap().ends_with(&second), "{back}");
    assert!(back["component"].as_str().unwrap().ends_with(&first), "{back}");
    for (id, before) in [JOB.to_owned(), manual()].iter().zip(&before) {
        assert!(place.jobs.variable(id, "LONGSHORE_COMPONENT").unwrap().ends_with(&first), "{id}");
        assert_eq!(rest(&place.jobs.get(id)), rest(before), "secrets, scale rule and variables stay");
    }
    let rows = place.run(&["releases", "--limit", "2"]).succeeded().json_lines();
    assert_eq!((&rows[0]["in_force"], &rows[1]["in_force"]), (&json!(false), &json!(true)));

    // Nothing was pushed before the first; and a name that is none is none.
    place.run(&["rollback"]).ends_with(3).says(&["no release that was pushed before", "name one with --to"]);
    place.run(&["rollback", "--to", "v9"]).ends_with(3).says(&["handlers/order:v9", "has no such"]);
    place.run(&["rollback", "--to", "a b"]).ends_with(2).says(&["neither a digest", "nor a tag"]);
    for to in ["v2", &first] {
        let done = place.run(&["rollback", "--to", to]).succeeded().json();
        let wanted = if to == "v2" { &second } else { &first };
        assert!(done["component"].as_str().unwrap().ends_with(wanted), "{to}: {done}");
    }
}

#[test]
fn what_ran_and_has_lost_its_tag_is_listed_still() {
    let place = Place::new("");
    let first = place.deploy(1);
    place.jobs.execute("orders-1", "Succeeded", "2026-11-20T10:00:00Z");
    place.build(2);
    place.run(&["deploy", "--tag", "v1"]).succeeded();
    let rows = place.run(&["releases"]).succeeded().json_lines();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!((&rows[0]["in_force"], &rows[0]["tags"]), (&json!(true), &json!(["v1"])));
    assert_eq!((&rows[1]["digest"], &rows[1]["tags"]), (&json!(first), &json!([])));
    assert_eq!(rows[1]["ran"]["executions"], 1);
    let back = place.run(&["rollback", "--to", &first]).succeeded().json();
    assert!(back["component"].as_str().unwrap().ends_with(&first), "{back}");
}
