//! The fields of a connection string: `NAME=VALUE`, with a semicolon between two.

/// The fields, by their names in upper or lower case.
pub(crate) struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    /// Takes a text apart. A value may hold the mark of equality: keys and signatures do.
    pub(crate) fn of(text: &'a str) -> Self {
        Self(text.split(';').filter_map(|field| field.trim().split_once('=')).collect())
    }

    /// The value of a field that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    }

    /// Whether a field has this value, in upper or lower case.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).is_some_and(|it| it.eq_ignore_ascii_case(value))
    }

    /// Whether the first field is one of these.
    pub(crate) fn begins_with(&self, names: &[&str]) -> bool {
        self.0.first().is_some_and(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name)))
    }
}
