//! The name that somebody may have meant.

/// So much of a name is compared, in characters. The cost grows with its length, and no name of
/// ours is as long.
const COMPARED: usize = 100;

/// The name that is nearest to one that is none; `None` if there is no name at all.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let end = name.char_indices().nth(COMPARED).map_or(name.len(), |(at, _)| at);
    names.min_by_key(|it| strsim::damerau_levenshtein(&name[..end], it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_however_long_the_text_is() {
        let names = ["concurrency", "deadline", "forever"];
        assert_eq!(nearest("concurency", names.into_iter()), Some("concurrency"));
        assert_eq!(nearest(&"forever".repeat(1_000_000), names.into_iter()), Some("forever"));
        assert_eq!(nearest("ü", [].into_iter()), None);
    }
}
