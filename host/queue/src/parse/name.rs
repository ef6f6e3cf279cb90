//! The rule for the names of Storage queues, which file queues keep as well.

/// Checks a name against the service's rule ([Naming
/// queues](https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata)).
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(3..=63).contains(&name.len()) {
        Err("a queue's name has 3 to 63 characters")
    } else if !name.chars().all(allowed) {
        Err("a queue's name is made of lowercase letters, digits and dashes")
    } else if name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        Err("dashes stand alone, between letters or digits")
    } else {
        Ok(())
    }
}
