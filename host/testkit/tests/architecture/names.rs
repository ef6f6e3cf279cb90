//! One word, one thing: no two types of one name, and none that hides a name of std's prelude.

use std::collections::BTreeMap;
use std::path::Path;

use crate::crates::members;
use crate::sources::{Import, Scope, Sources, on_disk};

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

/// The imports that hide a name of std's by their own: `use x::Y as Result`, `use std::io::Result`.
fn hiding_imports(sources: &Sources, root: &Path) -> String {
    let hides = |import: &&Import| {
        let name = import.name.as_deref().unwrap_or_default();
        // `use std::fmt::Debug` brings the derive macro beside the trait of that name.
        let same = import.path[0] == "std" && import.path.last().is_some_and(|last| last == name);
        is_in_prelude(name) && (!same || name == "Result")
    };
    let said = sources.imports.iter().filter(hides).map(|import| {
        let file = &sources.files[sources.modules[import.module].file];
        let file = file.strip_prefix(root).unwrap_or(file).display();
        let (name, line) = (import.name.as_deref().unwrap_or_default(), import.line);
        format!("{name} is {} and hides std's: {file}:{line}\n", import.path.join("::"))
    });
    said.collect()
}

fn is_in_prelude(name: &str) -> bool {
    PRELUDE.split(' ').any(|known| known == name)
}

/// Names that stand for more than one thing.
fn ambiguous(types: &[Type]) -> String {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, _, at) in types.iter().filter(|(_, scope, _)| *scope == Scope::Crate) {
        places.entry(name).or_default().push(at);
    }
    let twice = places.iter().filter(|(_, at)| at.len() > 1);
    let twice = twice.map(|(name, at)| format!("{name} is {} things: {}\n", at.len(), at.join(", ")));
    let hiding = types.iter().filter(|(name, ..)| is_in_prelude(name));
    let hiding = hiding.map(|(name, _, at)| format!("{name} hides std's: {at}\n"));
    twice.chain(hiding).collect()
}

#[test]
fn one_word_is_one_thing() {
    let root = longshore_testkit::root();
    let roots = members().into_iter().flat_map(|member| member.roots);
    let all: Vec<_> = roots.map(|path| Sources::of(&path, &on_disk)).collect();
    let types: Vec<_> = all.iter().flat_map(|sources| types(sources, root)).collect();
    let mut said = ambiguous(&types);
    said.extend(all.iter().map(|sources| hiding_imports(sources, root)));
    assert!(said.is_empty(), "give each a name that can be searched for:\n{said}");
}

/// A crate of one file.
fn planted(text: &str) -> Sources {
    let read = |_: &Path| Some(text.to_owned());
    Sources::of(Path::new("src/lib.rs"), &read)
}

#[test]
fn two_types_of_one_name_and_a_hidden_name_are_found() {
    let sources = planted(
        "pub struct Answer;\nmod inner { pub(crate) enum Answer {} struct Answer2; type Send = u8; }\n\
         mod third { struct Answer; mod fourth { pub(super) trait Answer {} } }",
    );
    let types = types(&sources, Path::new("src"));
    assert_eq!(ambiguous(&types), "Answer is 2 things: lib.rs:1, lib.rs:2\nSend hides std's: lib.rs:2\n");
}

#[test]
fn a_type_for_the_parent_of_a_file_under_the_root_is_for_the_crate() {
    let sources = planted("pub struct Answer;\nmod inner { pub(super) enum Answer {} }");
    let types = types(&sources, Path::new("src"));
    assert_eq!(ambiguous(&types), "Answer is 2 things: lib.rs:1, lib.rs:2\n");
}

#[test]
fn an_import_that_hides_a_name_is_found() {
    let sources = planted(
        "use a::B as Result;\nuse std::io::{self, Result};\nuse a::Option;\n\
         use std::fmt::{Debug, Write as _}; use std::hash::Hash; use a::Answer;",
    );
    assert_eq!(
        hiding_imports(&sources, Path::new("src")),
        "Result is a::B and hides std's: lib.rs:1\nResult is std::io::Result and hides std's: lib.rs:2\n\
         Option is a::Option and hides std's: lib.rs:3\n"
    );
}
