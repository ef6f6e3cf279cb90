//! Digests as OCI writes them: `sha256:` and 64 hexadecimal digits ([image-spec,
//! descriptor](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests)).

use sha2::{Digest, Sha256};

/// What a digest begins with: the algorithm, and the only one that is used here.
const ALGORITHM: &str = "sha256:";

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    let mut text = String::from(ALGORITHM);
    text.extend(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")));
    text
}

/// The 64 hexadecimal digits of a digest, in lower case as [`digest`] writes them; `None` if the
/// text is no such digest.
pub fn digits(digest: &str) -> Option<&str> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digest.strip_prefix(ALGORITHM).filter(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

#[cfg(test)]
mod tests {
    use super::{digest, digits};

    #[test]
    fn a_digest_is_the_sha256_of_the_bytes_in_lower_case() {
        // The second example of FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(b"abc"), format!("sha256:{expected}"));
        assert_eq!(digits(&digest(b"abc")), Some(expected));
    }

    #[test]
    fn what_is_no_digest_has_no_digits() {
        for text in [
            String::new(),
            "a".repeat(64),
            format!("sha512:{}", "a".repeat(64)),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{}", "a".repeat(65)),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", "g".repeat(64)),
            format!("sha256:{}", "/".repeat(64)),
        ] {
            assert_eq!(digits(&text), None, "{text}");
        }
        for digit in ["0", "9", "a", "f"] {
            let all = digit.repeat(64);
            assert_eq!(digits(&format!("sha256:{all}")), Some(all.as_str()));
        }
    }
}
