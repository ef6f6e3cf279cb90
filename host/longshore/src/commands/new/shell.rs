//! Paths in commands that are shown, to be copied into a shell.

/// A path as a shell takes it.
pub(super) fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        for (path, said) in
            [("../a/b-c", "../a/b-c"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("~x", "'~x'")]
        {
            assert_eq!(quoted(path), said);
        }
    }
}
