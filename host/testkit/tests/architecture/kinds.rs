//! What a kind of queue is, one table says: nothing outside of `host/queue` asks which kind a URL
//! names.
//!
//! Nobody else may even name a kind, neither in a pattern nor in an expression, an import or an
//! alias.

use std::collections::BTreeSet;
use std::path::Path;

use crate::crates::{Member, members};
use crate::resolve::Resolver;
use crate::sources::{Sources, on_disk};

/// The type whose variants are the kinds, and the rows of the table of kinds.
const KINDS: [&str; 4] = ["Place", "FILE", "STORAGE", "SERVICE_BUS"];

/// What names a kind, or brings one.
fn named(sources: &Sources, root: &Path) -> BTreeSet<String> {
    let resolver = Resolver::new(sources);
    let mentions = sources.mentions.iter().map(|it| (it.module, &it.path, it.line));
    let imports = sources.imports.iter().map(|it| (it.module, &it.path, it.line));
    let of_ours = |path: &Vec<String>| path[0].starts_with("longshore_");
    let is_kind = |path: &Vec<String>| path.iter().any(|word| KINDS.contains(&word.as_str()));
    let found = mentions.chain(imports).filter(|(module, path, _)| {
        resolver.outside(*module, path).iter().any(|path| of_ours(path) && is_kind(path))
    });
    let found = found.map(|(module, path, line)| {
        let file = &sources.files[sources.modules[module].file];
        let file = file.strip_prefix(root).unwrap_or(file);
        format!("{}:{line}: {}", file.display(), path.join("::"))
    });
    found.collect()
}

#[test]
fn nothing_outside_of_queue_asks_which_kind_a_queue_is() {
    let root = longshore_testkit::root();
    let (inside, outside): (Vec<_>, Vec<_>) =
        members().into_iter().partition(|member| member.folder.starts_with(root.join("host/queue")));
    let all = |members: Vec<Member>| {
        let roots = members.into_iter().flat_map(|member| member.roots);
        roots.map(|path| Sources::of(&path, &on_disk)).collect::<Vec<_>>()
    };
    let inside = all(inside);
    for kind in KINDS {
        let defines = |sources: &Sources| sources.modules.iter().any(|it| it.names.contains_key(kind));
        assert!(inside.iter().any(defines), "host/queue defines no {kind}: mend KINDS");
    }
    let said: Vec<_> = all(outside).iter().flat_map(|sources| named(sources, root)).collect();
    assert!(said.is_empty(), "ask the table in host/queue instead:\n{}", said.join("\n"));
}

/// What is found in a crate of one file.
fn found_in(text: &str) -> Vec<String> {
    let read = |_: &Path| Some(text.to_owned());
    named(&Sources::of(Path::new("src/lib.rs"), &read), Path::new("src")).into_iter().collect()
}

#[test]
fn a_question_for_the_kind_is_found() {
    for asks in [
        "use longshore_queue::place::Place as P;",
        "use longshore_queue::place::Place::*;",
        "use longshore_queue::place::Place::{File};",
        "pub use longshore_queue::place::Place;",
        "type K = longshore_queue::place::Place;",
        "fn f() { matches!(url.place(), longshore_queue::place::Place::File { .. }); }",
        "fn f() -> bool { url.place() == &longshore_queue::place::Place::None }",
        "fn f() -> bool { std::ptr::eq(url.kind(), &longshore_queue::kind::FILE) }",
    ] {
        assert_eq!(found_in(asks).len(), 1, "{asks}: {:?}", found_in(asks));
    }
}

#[test]
fn a_kind_is_found_behind_an_import() {
    for (import, asks) in [
        ("use longshore_queue::place;", "match x { place::Place::File => {} }"),
        ("use longshore_queue as queue;", "x == queue::place::Place::File"),
        ("use longshore_queue::place::*;", "match x { Place::File => {} }"),
        ("use longshore_queue::kind::*;", "x == &SERVICE_BUS"),
        ("mod inner { pub use longshore_queue::kind as kinds; }", "x == &inner::kinds::STORAGE"),
    ] {
        let said = found_in(&format!("{import}\nfn f() {{ {asks} }}"));
        assert!(said.len() == 1 && said[0].starts_with("lib.rs:2: "), "{import} {asks}: {said:?}");
    }
}

#[test]
fn what_a_crate_calls_so_itself_is_no_kind() {
    assert!(found_in("pub struct Place; const FILE: Place = Place; fn f() { Place::new(FILE); }").is_empty());
}
