//! Two queues of a kind, the real binary in front of them, and somebody else who tells what they
//! hold.

use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_testkit::program::{Ended, Program};
use longshore_testkit::{guest, sample};
use serde_json::Value;
use tempfile::TempDir;

use crate::servicebus::broker as bus;
use crate::storage::azurite;

/// Two queues of one kind beside each other, each with its poison queue.
pub struct Port {
    pub orders: String,
    pub payments: String,
    /// A queue that both may share for what is poison.
    pub shared: String,
    pub judge: Judge,
}

/// Who tells what `orders` holds.
pub enum Judge {
    Sqlite(TempDir),
    /// The official client for Python, by its arguments.
    Python(PathBuf, Vec<String>),
}

pub fn file() -> Port {
    let directory = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("file:{}/{name}", directory.path().display());
    let [orders, payments, shared] = ["orders", "payments", "shared"].map(url);
    Port { orders, payments, shared, judge: Judge::Sqlite(directory) }.created()
}

pub fn storage() -> Port {
    let [orders, payments, shared] = [(); 3].map(|()| azurite::plain().signed(&azurite::fresh()));
    let client = azurite::installed("python/client.py");
    let asked = vec![client.to_str().unwrap().to_owned(), "look".into(), orders.clone()];
    Port { orders, payments, shared, judge: Judge::Python(azurite::installed(".venv/bin/python"), asked) }
        .created()
}

pub fn service_bus() -> Port {
    let names = [(); 3].map(|()| bus::calm().queue(30, 10));
    let connection = bus::calm().connection_string();
    let [orders, payments, shared] = names.each_ref().map(|name| format!("{connection};EntityPath={name}"));
    let asked =
        [bus::installed("python/carried.py").to_str().unwrap(), &connection, &names[0]].map(str::to_owned);
    let judge = Judge::Python(bus::installed(".venv/bin/python"), asked.into());
    Port { orders, payments, shared, judge }
}

impl Port {
    fn created(self) -> Self {
        for url in [&self.orders, &self.payments] {
            self.on(url, &["queue", "create"]).run().succeeded();
        }
        self
    }

    pub fn on(&self, url: &str, arguments: &[&str]) -> Program {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), home);
        program.args(arguments).env("LONGSHORE_CACHE_DIR", home.join("compiled"));
        program.env("LONGSHORE_QUEUE", url).env("LONGSHORE_OUTPUT", "json");
        program
    }

    pub fn verb(&self, arguments: &[&str]) -> Ended {
        self.on(&self.orders, arguments).run()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        self.verb(arguments).succeeded().json()
    }

    pub fn worker(&self, url: &str, flags: &[&str]) -> Program {
        let component = guest::order();
        let common =
            ["run", "--max-dequeue", "1", "--breaker", "0", "--component", component.to_str().unwrap()];
        self.on(url, &[&common[..], flags].concat())
    }

    /// Poisons orders of these kinds.
    pub fn poison(&self, url: &str, words: &[&str], flags: &[&str]) -> Vec<String> {
        let bodies: Vec<_> = (0..).zip(words).map(|(n, msg)| sample::order(&format!("o-{n}"), msg)).collect();
        self.on(url, &["send"]).args(&bodies).run().succeeded();
        let ran = self.worker(url, &[&["--linger", "0"], flags].concat()).run().succeeded().json();
        assert_eq!(ran["poisoned"], words.len(), "{ran}");
        bodies
    }

    /// The bodies in `orders`, by somebody else's word.
    pub fn bodies(&self) -> Vec<String> {
        let mut bodies = match &self.judge {
            Judge::Sqlite(directory) => {
                let database = rusqlite::Connection::open(directory.path().join("queues.db")).unwrap();
                let mut select = database.prepare("SELECT body FROM message WHERE queue = 'orders'").unwrap();
                let text =
                    |row: &rusqlite::Row<'_>| row.get(0).map(|it: Vec<u8>| String::from_utf8(it).unwrap());
                select.query_map([], text).unwrap().map(Result::unwrap).collect::<Vec<_>>()
            }
            Judge::Python(python, arguments) => {
                let told = Command::new(python).args(arguments).output().unwrap();
                assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
                let told = String::from_utf8(told.stdout).unwrap();
                let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                let text = |it: &Value| it.as_str().unwrap().to_owned();
                lines
                    .flat_map(|it| match it.as_array() {
                        Some(all) => all.iter().map(text).collect(),
                        None => vec![text(&it["text"])],
                    })
                    .collect()
            }
        };
        bodies.sort();
        bodies
    }
}

pub fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort();
    bodies
}

pub fn numbers<const N: usize>(report: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}")))
}
