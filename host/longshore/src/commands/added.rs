//! What the host adds to a handler's requests, as verbs show it: the grants, and never a token or a
//! key.

use serde::Serialize;

use longshore_sandbox::Grants;

/// The grants by which the host adds something to requests.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Added {
    /// The host's identity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    http_identities: Vec<String>,
    /// A header that the operator named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    http_headers: Vec<String>,
}

impl Added {
    pub(super) fn by(grants: &Grants) -> Self {
        Self {
            http_identities: grants.identities.iter().map(ToString::to_string).collect(),
            http_headers: grants.headers.iter().map(ToString::to_string).collect(),
        }
    }

    /// The same for a table of names and values.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        let identities = self.http_identities.iter().map(|it| ("with the host's identity", it.clone()));
        identities.chain(self.http_headers.iter().map(|it| ("with a header", it.clone())))
    }
}
