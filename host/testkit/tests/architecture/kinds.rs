//! What a kind of queue is, one table says: nothing outside of `host/queue` asks which kind a URL
//! names.

use std::path::Path;

use crate::crates::members;
use crate::sources::{Mention, Sources, on_disk};

/// The type whose variants are the kinds.
const KINDS: &str = "Place";

/// The patterns that name a variant of [`KINDS`].
fn asked(sources: &Sources, root: &Path) -> Vec<String> {
    let names_a_kind = |it: &&Mention| it.path.iter().rev().skip(1).any(|word| word == KINDS);
    let found = sources.patterns.iter().filter(names_a_kind).map(|it| {
        let file = &sources.files[sources.modules[it.module].file];
        let file = file.strip_prefix(root).unwrap_or(file);
        format!("{}:{}: {}", file.display(), it.line, it.path.join("::"))
    });
    found.collect()
}

#[test]
fn nothing_outside_of_queue_asks_which_kind_a_queue_is() {
    let root = longshore_testkit::root();
    let (inside, outside): (Vec<_>, Vec<_>) =
        members().into_iter().partition(|member| member.folder.starts_with(root.join("host/queue")));
    let all = |members: Vec<crate::crates::Member>| {
        let roots = members.into_iter().flat_map(|member| member.roots);
        roots.map(|path| Sources::of(&path, &on_disk)).collect::<Vec<_>>()
    };
    let defined = all(inside).iter().any(|sources| sources.types.iter().any(|it| it.name == KINDS));
    assert!(defined, "host/queue defines no {KINDS}: mend KINDS");
    let said: Vec<_> = all(outside).iter().flat_map(|sources| asked(sources, root)).collect();
    assert!(said.is_empty(), "ask the table in host/queue instead:\n{}", said.join("\n"));
}

#[test]
fn a_question_for_the_kind_is_found() {
    let read = |_: &Path| {
        let text = "fn f(place: &Place) {\nmatch place { Place::File(_) => {} longshore_queue::Place::Bus { .. } => {} }\n\
                    matches!(place, Place::None);\nlet _ = Place::new(); }";
        Some(text.to_owned())
    };
    let said = asked(&Sources::of(Path::new("src/lib.rs"), &read), Path::new("src"));
    assert_eq!(
        said,
        ["lib.rs:2: Place::File", "lib.rs:2: longshore_queue::Place::Bus", "lib.rs:3: Place::None"]
    );
}
