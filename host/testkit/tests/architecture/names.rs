//! One word, one thing: no two types of one name, and none that hides a name of std's.

use std::collections::BTreeMap;
use std::path::Path;

use crate::crates::members;
use crate::sources::{Scope, Sources, on_disk};

/// The types and traits that every file knows without an import.
const PRELUDE: &str = "\
    AsMut AsRef AsyncFn AsyncFnMut AsyncFnOnce Box Clone Copy Debug Default DoubleEndedIterator \
    Drop Eq ExactSizeIterator Extend Fn FnMut FnOnce From FromIterator Future Hash Into IntoFuture \
    IntoIterator Iterator Option Ord PartialEq PartialOrd Result Send Sized String Sync ToOwned \
    ToString TryFrom TryInto Unpin Vec";

/// A type: its name, how far it is known, and where it stands.
type Type = (String, Scope, String);

/// The types of a target.
fn types(sources: &Sources, root: &Path) -> Vec<Type> {
    let types = sources.types.iter().map(|it| {
        let file = &sources.files[it.file];
        let at = format!("{}:{}", file.strip_prefix(root).unwrap_or(file).display(), it.line);
        (it.name.clone(), it.scope, at)
    });
    types.collect()
}

/// Names that stand for more than one thing.
fn ambiguous(types: &[Type]) -> String {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, _, at) in types.iter().filter(|(_, scope, _)| *scope == Scope::Crate) {
        places.entry(name).or_default().push(at);
    }
    let twice = places.iter().filter(|(_, at)| at.len() > 1);
    let twice = twice.map(|(name, at)| format!("{name} is {} things: {}\n", at.len(), at.join(", ")));
    let hiding = types.iter().filter(|(name, ..)| PRELUDE.split(' ').any(|known| known == name));
    let hiding = hiding.map(|(name, _, at)| format!("{name} hides std's: {at}\n"));
    twice.chain(hiding).collect()
}

#[test]
fn one_word_is_one_thing() {
    let roots = members().into_iter().flat_map(|member| member.roots);
    let types: Vec<_> =
        roots.flat_map(|root| types(&Sources::of(&root, &on_disk), longshore_testkit::root())).collect();
    let said = ambiguous(&types);
    assert!(said.is_empty(), "give each a name that can be searched for:\n{said}");
}

#[test]
fn two_types_of_one_name_and_a_hidden_name_are_found() {
    let read = |_: &Path| {
        let text = "pub struct Answer;\nmod inner { pub(crate) enum Answer {} struct Answer2; type Send = u8; }\n\
                    mod third { struct Answer; pub(super) trait Answer3 {} }";
        Some(text.to_owned())
    };
    let types = types(&Sources::of(Path::new("src/lib.rs"), &read), Path::new("src"));
    assert_eq!(ambiguous(&types), "Answer is 2 things: lib.rs:1, lib.rs:2\nSend hides std's: lib.rs:2\n");
}
