//! The name that the page has in a browser.

use std::fmt;

use rand::RngExt;

/// How many letters a name of one run has: 56 bits.
const LETTERS: usize = 12;

/// The host and the port that the page's address names. A request for any other is refused.
///
/// Browsers keep cookies by host, and send those of `127.0.0.1` to every port of it, whoever
/// listens there. So each run has a name of its own below `localhost`, which leads to loopback
/// ([RFC 6761, section 6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageHost {
    name: String,
    port: u16,
}

impl PageHost {
    /// A name that no other run has.
    pub(super) fn of_this_run(port: u16) -> Self {
        let mut rng = rand::rng();
        let letters: String = (0..LETTERS).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
        Self { name: format!("{letters}.localhost"), port }
    }

    /// The address itself, for a browser that resolves no name below `localhost`.
    pub(super) fn address(port: u16) -> Self {
        Self { name: "127.0.0.1".to_owned(), port }
    }

    /// Whether a request names it.
    pub(super) fn is(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(&self.to_string())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for PageHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A browser leaves out the port that it would take anyway.
        match self.port {
            80 => f.write_str(&self.name),
            port => write!(f, "{}:{port}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_a_name_of_its_own_and_answers_to_no_other() {
        let (one, other) = (PageHost::of_this_run(8000), PageHost::of_this_run(8000));
        assert_ne!(one, other);
        let name = one.to_string();
        assert!(name.ends_with(".localhost:8000") && one.is(&name) && one.is(&name.to_ascii_uppercase()));
        for foreign in
            [&other.to_string(), "localhost:8000", "127.0.0.1:8000", name.trim_end_matches(":8000")]
        {
            assert!(!one.is(foreign), "{foreign}");
        }
        assert_eq!(PageHost::address(80).to_string(), "127.0.0.1");
    }
}
