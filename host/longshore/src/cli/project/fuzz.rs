//! Arbitrary bytes as a project file.

use std::path::Path;

use clap::CommandFactory;
use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{Project, ProjectKeys};
use crate::cli::Cli;

const PROJECT_TARGET: &str = "project-file";

const WHOLE: &str = "queue = \"file:./queues/orders\"\ncomponent = \"order.wasm\"\nconcurrency = 16\nforever = true\n\
    outbox = { invoices = \"file:./queues/invoices\" }\nallow-http = [\"api.example\"]\n\n\
    [build]\ncommand = \"cargo build\"\nsources = [\"src\"]\n\n[profile.azure]\n\
    queue = \"https://acme.queue.core.windows.net/orders\"\ndeadline = \"30s\"\n";
const PIECES: &[&str] = &[
    "[build]\n",
    "[profile.azure]\n",
    "queue = ",
    "concurrency = ",
    "deadline = ",
    "env = { a = 1 }\n",
    "outbox = [",
    "\"\"\"",
    "'''",
    "0x",
    "1979-05-27T07:32:00Z",
    "nan",
    "= {",
    "]]",
    "[[",
    ".a.b.c",
    "\\u0000",
    "\u{1f600}",
    "\n",
    "#",
];

#[test]
fn whatever_stands_in_a_project_file_it_is_read_or_refused_with_its_place() {
    let seeds = [
        WHOLE,
        "concurency = 16\n",
        "[profile.azure]\nforever = 1\n",
        "env = { A = 1, B = true, C = 1.5 }\n",
    ];
    let target = FuzzTarget::of_texts(PROJECT_TARGET, module_path!(), PIECES, &seeds);
    let keys = ProjectKeys::of(&Cli::command());
    feed(&target, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let ways = [None, Some("azure".to_owned())].map(|profile| {
            match Project::read(&text, Path::new("longshore.toml"), profile, keys.clone()) {
                Ok(project) => {
                    format!("read {} {}", project.values().count() > 0, project.build.command.is_some())
                }
                Err(cause) => {
                    assert!(cause.starts_with("longshore.toml"), "{cause}");
                    cause
                }
            }
        });
        ways.join(" ")
    });
}
