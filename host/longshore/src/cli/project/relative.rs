//! Paths in a project file: they are relative to the file.

use std::path::Path;

use clap::ValueHint;

use super::keys::{ProjectKey, ValueShape};

/// The value, with the directory of the file before a relative path in it.
pub(super) fn rebased(key: &ProjectKey, value: String, directory: &Path) -> String {
    if directory.as_os_str().is_empty() {
        return value;
    }
    // Of `NAME=VALUE` the value is meant.
    let from =
        if key.shape() == ValueShape::Table { value.find('=').map_or(value.len(), |at| at + 1) } else { 0 };
    let (name, text) = value.split_at(from);
    let path_after = |start: &str, path: &str| {
        let joined = directory.join(path);
        format!("{name}{start}{}", joined.display())
    };
    match key.hint() {
        ValueHint::Url => match text.strip_prefix("file:") {
            Some(path) if !Path::new(path).is_absolute() => path_after("file:", path),
            _ => value,
        },
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
            if !text.is_empty() && !text.contains("://") =>
        {
            path_after("", text)
        }
        // `NAME = "@FILE"`; what begins with `@@` is a value.
        _ if key.shape() == ValueShape::Table => match text.strip_prefix('@') {
            Some(path) if !path.is_empty() && !path.starts_with('@') => path_after("@", path),
            _ => value,
        },
        _ => value,
    }
}
