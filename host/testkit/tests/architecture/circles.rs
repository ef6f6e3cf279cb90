//! No circles of files inside a crate: who uses an item of another file is not used by it, directly
//! or through others.
//!
//! A path counts, in an import or not, and counts towards the file that defines what it names,
//! wherever it is handed on (`pub use`). Methods that are called with a dot do not count, since no
//! path names them; nor do modules by themselves. Tests inside a file of `src` do not count, but
//! the files below `tests` do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::crates::members;
use crate::resolve::Resolver;
use crate::sources::{FileId, Sources, on_disk};

/// For each file the files that it uses, and of each item there the first mention: its line and its
/// path.
type Arrows = BTreeMap<FileId, BTreeMap<FileId, BTreeMap<String, (usize, String)>>>;

fn arrows(sources: &Sources) -> Arrows {
    let resolver = Resolver::new(sources);
    let mut arrows = Arrows::new();
    for mention in &sources.mentions {
        let from = sources.modules[mention.module].file;
        for (to, item) in resolver.definitions(mention.module, &mention.path) {
            if to != from {
                let said = arrows.entry(from).or_default().entry(to).or_default().entry(item);
                let here = (mention.line, mention.path.join("::"));
                said.and_modify(|first| *first = here.clone().min(first.clone())).or_insert(here);
            }
        }
    }
    arrows
}

/// All files that a file reaches.
fn reach(arrows: &Arrows, from: FileId) -> BTreeSet<FileId> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        let next = arrows.get(&file).into_iter().flat_map(BTreeMap::keys);
        open.extend(next.filter(|next| reached.insert(**next)));
    }
    reached
}

/// Files that reach each other, in groups.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<FileId>> {
    let reached: BTreeMap<FileId, _> = arrows.keys().map(|file| (*file, reach(arrows, *file))).collect();
    let of = |file: &FileId| {
        let back = |other: &&FileId| reached.get(other).is_some_and(|reached| reached.contains(file));
        reached[file].iter().filter(back).copied().collect::<BTreeSet<_>>()
    };
    reached.keys().map(of).filter(|circle| !circle.is_empty()).collect()
}

/// What has to be cut, or nothing.
fn describe(sources: &Sources, root: &Path) -> String {
    let arrows = arrows(sources);
    let name =
        |file: FileId| sources.files[file].strip_prefix(root).unwrap_or(&sources.files[file]).display();
    let mut said = String::new();
    for circle in circles(&arrows) {
        writeln!(said, "{} files use each other in a circle:", circle.len()).unwrap();
        for from in &circle {
            for (to, paths) in arrows[from].iter().filter(|(to, _)| circle.contains(to)) {
                writeln!(said, "  {} uses {}:", name(*from), name(*to)).unwrap();
                let mut paths: Vec<_> = paths.values().collect();
                paths.sort();
                for (line, path) in paths {
                    writeln!(said, "    line {line}: {path}").unwrap();
                }
            }
        }
    }
    said
}

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    let said = members().into_iter().flat_map(|member| {
        let roots = member.roots.iter().map(|path| Sources::of(path, &on_disk)).collect::<Vec<_>>();
        let tests = member.tests.iter().map(|path| Sources::of_test(path, &on_disk));
        roots.into_iter().chain(tests).map(|it| describe(&it, longshore_testkit::root())).collect::<Vec<_>>()
    });
    let said = said.collect::<String>();
    assert!(said.is_empty(), "move what both need into a file of its own:\n{said}");
}

/// What is said about a crate of these files.
fn said_of(files: &[(&str, &str)]) -> String {
    let read = |path: &Path| {
        let file = files.iter().find(|(name, _)| path == Path::new("src").join(name));
        file.map(|(_, text)| (*text).to_owned())
    };
    describe(&Sources::of(Path::new("src/lib.rs"), &read), Path::new("src"))
}

#[test]
fn a_circle_is_found_with_its_files_and_lines() {
    let said = said_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        ("b.rs", "use crate::c;\npub struct B(\nc::C);"),
        ("c.rs", "pub enum C { Some(Box<super::a::A>) }"),
    ]);
    let expected = "3 files use each other in a circle:
  a.rs uses b.rs:
    line 1: crate::b::B
  b.rs uses c.rs:
    line 3: c::C
  c.rs uses a.rs:
    line 1: super::a::A
";
    assert_eq!(said, expected);
}

#[test]
fn a_child_that_needs_its_parent_is_a_circle() {
    let child = ("a/child.rs", "pub fn child() -> super::A { super::A }");
    let parent = "mod child;\npub struct A;\n";
    assert_eq!(said_of(&[("lib.rs", "mod a;"), ("a.rs", parent), child]), "", "a module by itself is no use");
    let uses = format!("{parent}pub fn a() {{ child::child(); }}");
    assert!(said_of(&[("lib.rs", "mod a;"), ("a.rs", &uses), child]).contains("a.rs uses a/child.rs"));
}

#[test]
fn an_item_is_where_it_is_defined_and_not_where_it_is_handed_on() {
    let files = |user: &'static str| {
        said_of(&[
            ("lib.rs", "pub mod front; mod user;"),
            (
                "front.rs",
                "mod inner; pub use inner::*; pub use inner::Item as Renamed; use crate::user::user;",
            ),
            ("front/inner.rs", "pub struct Item;"),
            ("user.rs", user),
        ])
    };
    assert_eq!(files("use crate::front::Item; pub fn user() {}"), "", "by a glob");
    assert_eq!(files("use crate::front::Renamed; pub fn user() {}"), "", "by another name");
    let back = said_of(&[
        ("lib.rs", "pub mod front; mod user;"),
        ("front.rs", "mod inner; pub use inner::Item;"),
        ("front/inner.rs", "pub struct Item(crate::user::User);"),
        ("user.rs", "use crate::front::Item; pub struct User;"),
    ]);
    assert!(back.contains("user.rs uses front/inner.rs:\n    line 1: crate::front::Item"), "{back}");
}

#[test]
fn paths_in_macros_attributes_and_implementations_count() {
    let other =
        ("b.rs", "use crate::a::A; pub struct B; impl A { pub fn new() -> A { A } } pub const N: u8 = 1;");
    let with = |text: &str| said_of(&[("lib.rs", "mod a; mod b;"), ("a.rs", text), other]);
    assert_eq!(with("pub struct A;"), "");
    assert!(with("pub struct A; fn f() { println!(\"{}\", crate::b::N); }").contains("crate::b::N"));
    assert!(with("#[serde(with = \"crate::b::B\")] pub struct A;").contains("crate::b::B"));
    assert!(with("#[arg(default_value_t = crate::b::N)] pub struct A;").contains("crate::b::N"));
    assert!(with("pub struct A; fn f() { A::new(); }").contains("A::new"), "where the function is defined");
    assert!(with("use crate::b::*; pub struct A; fn f(_: B) {}").contains("B"), "by a glob");
}

#[test]
fn what_exists_only_in_tests_makes_no_circle() {
    let test = "pub struct A; #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::B;";
    let files = [("lib.rs", "mod a; mod b;"), ("a.rs", test), ("b.rs", "use crate::a::A; pub struct B;")];
    assert_eq!(said_of(&files), "");
}

#[test]
fn what_exists_only_in_tests_makes_a_circle_in_a_test() {
    let read = |path: &Path| {
        let text = match path.to_str() {
            Some("tests/main.rs") => "mod a; mod b;",
            Some("tests/a.rs") => "pub struct A; #[test] fn t() { crate::b::B; }",
            Some("tests/b.rs") => "use crate::a::A; pub struct B;",
            _ => return None,
        };
        Some(text.to_owned())
    };
    let said = describe(&Sources::of_test(Path::new("tests/main.rs"), &read), Path::new("tests"));
    assert!(said.contains("a.rs uses b.rs:\n    line 1: crate::b::B"), "{said}");
}

#[test]
fn a_function_that_another_file_gives_a_type_counts_however_it_is_called() {
    let with = |a: &str, b: &str| said_of(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)]);
    let b = "use crate::a::A; impl A { pub fn new() {} }";
    let calls = "pub struct A; impl A { fn f() { Self::new(); } }";
    assert!(with(calls, b).contains("line 1: A::new"), "by Self");
    let calls = "pub struct A; impl A { fn f() { assert!(Self::new()); } }";
    assert!(with(calls, b).contains("line 1: A::new"), "by Self in a macro");
    let b = "use crate::a::A; impl std::str::FromStr for A { type Err = u8; fn from_str(_: &str) {} }";
    let calls = "pub struct A; fn f() { A::from_str(\"\"); }";
    assert!(with(calls, b).contains("line 1: A::from_str"), "of a trait");
    assert_eq!(with("pub struct A; impl A { fn f() { Self::other(); } fn other() {} }", b), "");
}

#[test]
fn a_name_that_is_handed_on_inside_a_crate_is_used() {
    let b = ("b.rs", "use crate::a::A; pub trait Ext {}");
    let with = |a: &str| said_of(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), b]);
    assert!(with("pub(crate) use crate::b::Ext; pub struct A;").contains("line 1: crate::b::Ext"));
    assert_eq!(with("pub use crate::b::Ext; pub struct A;"), "", "to other crates");
}
