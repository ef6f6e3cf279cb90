//! Handlers that send messages on: what they sent is what proves that they ran.

use std::collections::BTreeMap;
use std::path::Path;

use crate::directory::Row;
use crate::oracle::{Expected, Sent};
use crate::process::{cache, longshore, run};
use longshore_testkit::guest;

/// What a handler sends that succeeds.
const OUTPUTS: usize = 3;
/// What a handler sends that fails.
const NEVER: &[u8] = b"never to be sent";

/// The n-th message: most are answered with outputs and success, some with outputs and a failure.
pub(crate) fn message(number: usize) -> Sent {
    let (body, expected) = match number % 8 {
        3 => ("output-then-fail".to_owned(), Expected::Poison("attempts-exhausted")),
        6 => ("output-then-trap".to_owned(), Expected::Poison("attempts-exhausted")),
        _ => (format!("outputs:{OUTPUTS}"), Expected::Handled),
    };
    Sent { body: body.into_bytes(), expected }
}

/// What the component needs to be loaded, with its outputs in a queue of another directory, which
/// is created.
pub(crate) fn flags(directory: &Path) -> Vec<String> {
    let queue = format!("file:{}/invoices", directory.display());
    run(&mut longshore(["queue", "create", "--queue", &queue])).succeeded();
    let flags = vec!["--config=greeting=hello".to_owned(), format!("--outbox=invoices={queue}")];
    // Workers that are killed while they compile would compile for ever.
    let mut warm = longshore(["invoke", "lines:0", "--component"]);
    run(warm.arg(guest::rogue()).arg("--cache-dir").arg(cache()).args(&flags)).succeeded();
    flags
}

/// How often each message was handled, by what was sent on its behalf: what a failed one sent
/// counts as well, and what was sent in part does not.
pub(crate) fn handled(invoices: &[Row]) -> BTreeMap<String, usize> {
    let mut sent: BTreeMap<String, [usize; OUTPUTS]> = BTreeMap::new();
    for Row { id, body, .. } in invoices {
        let (origin, index) = id.split_once('/').expect("an output's id names its origin");
        let counts = sent.entry(origin.to_owned()).or_default();
        if body == NEVER {
            *counts = [1; OUTPUTS];
            continue;
        }
        assert_eq!(body, index.as_bytes(), "{id}");
        counts[index.parse::<usize>().unwrap()] += 1;
    }
    sent.retain(|_, counts| !counts.contains(&0));
    sent.into_iter().map(|(origin, counts)| (origin, counts.into_iter().max().unwrap_or_default())).collect()
}
