//! Texts of others, cut to a length.

/// The start of a text, in at most `longest` bytes. An ellipsis says that there was more.
pub(crate) fn shorten(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
    text
}
