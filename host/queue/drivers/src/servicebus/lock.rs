//! The token of a lock: what proves that a delivered message is ours.

/// A lock's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LockToken(pub(super) [u8; 16]);

impl LockToken {
    /// The token of a lock that does not exist.
    pub(super) const NONE: Self = Self([0; 16]);

    /// The token in a delivery tag, where its first three fields stand with their lowest byte
    /// first, as .NET writes a GUID.
    pub(super) fn from_tag(tag: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = tag.try_into().ok()?;
        Some(Self(*uuid::Uuid::from_bytes_le(bytes).as_bytes()))
    }

    /// The token as text, and back.
    pub(super) fn text(self) -> String {
        uuid::Uuid::from_bytes(self.0).to_string()
    }

    /// The token of a text that [`LockToken::text`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self(*uuid::Uuid::parse_str(text).ok()?.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_tag_is_read_as_dotnet_writes_it() {
        let tag: Vec<u8> = (0..16).collect();
        let token = LockToken::from_tag(&tag).unwrap();
        assert_eq!(token.0, [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(LockToken::from_tag(&tag[1..]), None);
        assert_eq!(LockToken::parse(&token.text()), Some(token));
        assert_eq!(LockToken::parse("orders"), None);
    }
}
