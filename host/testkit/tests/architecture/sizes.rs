//! No file is longer than a person reads at once, and no comment wider.

use std::path::{Path, PathBuf};

use crate::crates::members;

/// The longest that a file may be, in lines.
const MAX_LINES: usize = 400;

/// Longer files, each with the reason.
const LONGER: [(&str, &str); 0] = [];

fn sources_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The widest that a line of a comment may be, in characters.
const MAX_COLUMNS: usize = 100;

/// The numbers of the lines of comments that are too wide. An address cannot be cut, nor a row of a
/// table.
fn too_wide(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let comment = line.trim_start();
        let whole = comment.contains("://") || comment.trim_start_matches(['/', '!', ' ']).starts_with('|');
        comment.starts_with("//") && !whole && line.chars().count() > MAX_COLUMNS
    });
    lines.map(|(number, _)| number + 1).collect()
}

#[test]
fn no_comment_is_too_wide() {
    let mut said = String::new();
    for path in members().into_iter().flat_map(|member| sources_of(&member.folder)) {
        let name = path.strip_prefix(longshore_testkit::root()).unwrap().display().to_string();
        let lines = too_wide(&std::fs::read_to_string(&path).unwrap());
        said.extend(lines.iter().map(|line| format!("{name}:{line}\n")));
    }
    assert!(said.is_empty(), "these comments are wider than {MAX_COLUMNS} columns:\n{said}");
}

#[test]
fn a_comment_that_is_too_wide_is_found() {
    let long = "word ".repeat(20);
    let text = format!(
        "//! {long}\n    // {long}\nlet a = \"{long} of code\";\n/// | {long} |\n/// {long}https://a.example\n// short"
    );
    assert_eq!(too_wide(&text), [1, 2]);
}

/// The folders of a crate that hold sources.
const FOLDERS: [&str; 3] = ["src", "tests", "benches"];

fn sources_of(crate_folder: &Path) -> Vec<PathBuf> {
    let folders = FOLDERS.map(|name| crate_folder.join(name));
    folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| sources_below(folder)).collect()
}

/// Files that are too long without a reason, and reasons without such a file.
fn too_long(lines: &[(String, usize)], allowed: &[(&str, &str)]) -> String {
    let long: Vec<_> = lines.iter().filter(|(_, lines)| *lines > MAX_LINES).collect();
    let without = long.iter().filter(|(file, _)| !allowed.iter().any(|(name, _)| name == file));
    let without = without.map(|(file, lines)| format!("{file} has {lines} lines: split it\n"));
    let stale = allowed.iter().filter(|(name, _)| !long.iter().any(|(file, _)| file == name));
    let stale =
        stale.map(|(name, _)| format!("{name} has no more than {MAX_LINES} lines: take it off the list\n"));
    without.chain(stale).collect()
}

#[test]
fn no_file_is_too_long() {
    let files = members().into_iter().flat_map(|member| sources_of(&member.folder));
    let lines = files.map(|path| {
        let name = path.strip_prefix(longshore_testkit::root()).unwrap().display().to_string();
        (name, std::fs::read_to_string(&path).unwrap().lines().count())
    });
    let said = too_long(&lines.collect::<Vec<_>>(), &LONGER);
    assert!(said.is_empty(), "{said}");
}

#[test]
fn a_file_that_is_too_long_is_found_and_a_reason_that_is_stale() {
    let lines = [("a.rs".to_owned(), 401), ("b.rs".to_owned(), 400), ("c.rs".to_owned(), 500)];
    let said = too_long(&lines, &[("c.rs", "one table"), ("b.rs", "one table")]);
    assert_eq!(said, "a.rs has 401 lines: split it\nb.rs has no more than 400 lines: take it off the list\n");
}

#[test]
fn sources_are_found_in_src_tests_and_benches() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["src/lib.rs", "tests/deep/er/a.rs", "benches/b.rs", "tests/c.js", "other/d.rs"] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let mut found = sources_of(folder.path());
    found.sort();
    let expected = ["benches/b.rs", "src/lib.rs", "tests/deep/er/a.rs"].map(|file| folder.path().join(file));
    assert_eq!(found, expected);
}
