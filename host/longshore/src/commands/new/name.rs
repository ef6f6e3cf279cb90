//! The name of a project: that of its folder, its crate and its package.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use crate::cli::Language;

/// The longest name that all registries take; that of crates has the narrowest limit.
const MAX_NAME_CHARS: usize = 64;

/// What a crate cannot be called: Rust's words and own crates, and what the crate depends on.
const TAKEN_IN_RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "longshore-guest",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// What a package of npm cannot be called, since it depends on it.
const TAKEN_IN_NPM: &[&str] = &["longshore-guest", "typescript"];

/// Whether a text is written as all registries take it.
fn is_name(text: &str) -> bool {
    let is_clear = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(is_clear)
        && !text.ends_with('-')
        && !text.contains("--")
}

/// A name that a crate, a package, and a repository of a registry may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProjectName(String);

impl ProjectName {
    /// The last part of a path, if it is such a name.
    pub(super) fn of(folder: &Path, lang: Language) -> Result<Self, String> {
        let Some(name) = folder.file_name().map(OsStr::to_string_lossy) else {
            return Err(format!(
                "{} has no last part that could name the project; name a folder",
                folder.display()
            ));
        };
        if !is_name(&name) {
            let near = name.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
            let mend = if is_name(&near) { near } else { "pricing".into() };
            return Err(format!(
                "`{name}` names no project: a name has lower-case letters, digits and single `-` between them, and begins with a letter; write one such as `{mend}`"
            ));
        }
        if name.len() > MAX_NAME_CHARS {
            return Err(format!(
                "the project's name has {} characters, and {MAX_NAME_CHARS} at most are allowed; write a shorter one",
                name.len()
            ));
        }
        let taken = match lang {
            Language::Rust => TAKEN_IN_RUST,
            Language::Typescript | Language::Javascript => TAKEN_IN_NPM,
            // No file of it has the name of a module.
            Language::Python => &[],
        };
        if taken.contains(&name.as_ref()) {
            return Err(format!(
                "a project in {} cannot be called `{name}`, which the language or one of its packages is called; write another name, such as `{name}-handler`",
                lang.title()
            ));
        }
        Ok(Self(name.into_owned()))
    }

    /// As the file of a crate is called.
    pub(super) fn of_file(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_path_is_the_name_if_every_registry_takes_it() {
        for (path, name) in [("pricing", "pricing"), ("../work/p-2", "p-2"), ("/tmp/a9/", "a9")] {
            assert_eq!(ProjectName::of(Path::new(path), Language::Rust).unwrap().to_string(), name);
        }
        let long = "a".repeat(MAX_NAME_CHARS + 1);
        for (path, said) in [
            ("Pricing", "such as `pricing`"),
            ("my_prices", "such as `my-prices`"),
            ("9lives", "such as `pricing`"),
            ("a--b", "begins with a letter"),
            ("a-", "begins with a letter"),
            ("préis", "lower-case letters"),
            ("a\nb", "lower-case letters"),
            ("..", "name a folder"),
            ("", "name a folder"),
            (&long, "65 characters"),
        ] {
            let refused = ProjectName::of(Path::new(path), Language::Rust).unwrap_err();
            assert!(refused.contains(said), "{path}: {refused}");
        }
    }

    #[test]
    fn a_name_that_the_language_has_is_refused_in_that_language() {
        for (name, lang) in
            [("fn", Language::Rust), ("serde", Language::Rust), ("typescript", Language::Typescript)]
        {
            let refused = ProjectName::of(Path::new(name), lang).unwrap_err();
            assert!(refused.contains(&format!("`{name}-handler`")), "{refused}");
            assert!(ProjectName::of(Path::new(name), Language::Python).is_ok());
        }
        assert!(TAKEN_IN_RUST.is_sorted() && TAKEN_IN_NPM.is_sorted());
    }
}
