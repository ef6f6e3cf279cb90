//! What a container of a job says: its variables, and its command line.

use serde_json::Value;

/// The variables of a container of this template.
pub(super) fn env(template: &Value, container: usize) -> impl Iterator<Item = &Value> {
    template["containers"][container]["env"].as_array().into_iter().flatten()
}

/// The secret that a variable comes from.
pub(super) fn secret_of(variable: &Value) -> Option<&str> {
    variable["secretRef"].as_str().filter(|it| !it.is_empty())
}

/// What a container's command line says behind this flag.
pub(super) fn argument<'a>(container: &'a Value, flag: &str) -> Option<&'a str> {
    let words = |of: &str| container[of].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut words = words("command").chain(words("args"));
    while let Some(word) = words.next() {
        match word.strip_prefix("--").and_then(|it| it.strip_prefix(flag)) {
            Some("") => return Some(words.next().unwrap_or_default()),
            Some(rest) if rest.starts_with('=') => return rest.strip_prefix('='),
            _ => {}
        }
    }
    None
}
