//! `--env` and `--config`: names, and where their values come from.

use std::fmt;
use std::path::PathBuf;

use super::text_file::read_text;
use super::values::{LinePlace, Lines, variable_of};

/// A name and its value, as they were given. The value may be a secret: no error and no `Debug`
/// shows it, nor what may be a part of one.
#[derive(Clone, Debug)]
pub struct Given {
    name: String,
    value: GivenValue,
}

/// Where a value comes from.
#[derive(Clone)]
enum GivenValue {
    Text(String),
    /// What stands in a file.
    File(PathBuf),
    /// A variable of this process, by the same name.
    OurVariable,
}

impl fmt::Debug for GivenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Reads `KEY=VALUE` or `KEY=@FILE`.
pub(super) fn setting(text: &str) -> Result<Given, String> {
    let (name, value) = text.split_once('=').ok_or("there is no `=`; write KEY=VALUE, or KEY=@FILE")?;
    if name.is_empty() {
        return Err("no name stands before the `=`; write KEY=VALUE, or KEY=@FILE".into());
    }
    let value = match value.strip_prefix('@') {
        Some("") => return Err(
            "no file is named behind the `@`; write KEY=@FILE, or KEY=@@… for a value that begins with `@`"
                .into(),
        ),
        Some(rest) if rest.starts_with('@') => GivenValue::Text(rest.to_owned()),
        Some(file) => GivenValue::File(file.into()),
        None => GivenValue::Text(value.to_owned()),
    };
    Ok(Given { name: name.to_owned(), value })
}

/// Reads the same, or `KEY` alone.
pub(super) fn variable(text: &str) -> Result<Given, String> {
    if text.contains('=') || text.is_empty() {
        return setting(text);
    }
    Ok(Given { name: text.to_owned(), value: GivenValue::OurVariable })
}

/// The names and values of all uses of a flag.
///
/// # Errors
/// When a value cannot be had: which one, by its place, since its text may be a secret.
pub(super) fn resolved(flag: &str, groups: &[Lines<Given>]) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for (place, given) in group.placed() {
            let place = || match place {
                LinePlace::Variable(line) => format!("line {line} of {}", variable_of(flag)),
                LinePlace::Project => format!("`{flag}` number {} of the project file", index + 1),
                LinePlace::Flag if groups.len() == 1 => format!("--{flag}"),
                LinePlace::Flag => format!("--{flag} number {}", index + 1),
            };
            let value = given.value().map_err(|cause| format!("{}: {cause}", place()))?;
            pairs.push((given.name.clone(), value));
        }
    }
    Ok(pairs)
}

impl Given {
    fn value(&self) -> Result<String, String> {
        match &self.value {
            GivenValue::Text(text) => Ok(text.clone()),
            GivenValue::File(path) => read_text(path).map_err(|cause| {
                format!("the file behind `@` {cause}; write KEY=@@… for a value that begins with `@`")
            }),
            GivenValue::OurVariable => std::env::var(&self.name).map_err(|error| {
                let cause = match error {
                    std::env::VarError::NotPresent => "has no variable of that name",
                    std::env::VarError::NotUnicode(_) => "has a variable of that name that is no text",
                };
                format!("this process {cause}; write KEY=VALUE, or KEY=@FILE")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, resolved, setting, variable};

    #[test]
    fn a_value_stands_behind_its_name_or_in_a_file_or_in_a_variable_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        let pem = "-----BEGIN KEY-----\nabc=\n-----END KEY-----\n";
        let file = directory.path().join("key.pem");
        std::fs::write(&file, pem).unwrap();
        let given = [
            setting("a=x=y").unwrap(),
            setting("b=").unwrap(),
            setting("c=@@bob").unwrap(),
            setting(&format!("d=@{}", file.display())).unwrap(),
            variable("PATH").unwrap(),
            variable("e=1").unwrap(),
        ];
        let shown = format!("{given:?}");
        let pairs = resolved("env", &given.map(Lines::one)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let expected = [("a", "x=y"), ("b", ""), ("c", "@bob"), ("d", pem), ("PATH", &path), ("e", "1")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(!shown.contains("x=y"), "{shown}");
    }

    #[test]
    fn what_has_no_value_is_named_by_its_place_and_not_by_its_text() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("long");
        std::fs::write(&long, vec![b'a'; (1 << 20) + 1]).unwrap();
        let binary = directory.path().join("binary");
        std::fs::write(&binary, b"ab\xff").unwrap();
        for (text, words) in [
            ("swordfish", "has no variable of that name"),
            ("a=@swordfish", "cannot be read"),
            (&format!("a=@{}", directory.path().display()), "is no regular file"),
            (&format!("a=@{}", long.display()), "has more than 1024 KiB"),
            (&format!("a=@{}", binary.display()), "invalid at byte 2"),
        ] {
            let given = [Lines::one(variable("b=1").unwrap()), Lines::one(variable(text).unwrap())];
            let said = resolved("env", &given).unwrap_err();
            assert!(said.starts_with("--env number 2: ") && said.contains(words), "{text}: {said}");
            assert!(!said.contains("swordfish"), "{said}");
        }
        for text in ["swordfish", "=swordfish", "a=@", ""] {
            assert!(!setting(text).unwrap_err().contains("swordfish"));
        }
    }
}
