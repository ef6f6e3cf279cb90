//! What the operator decided for all guests of one sandbox.

use crate::grants::Grants;
use crate::http::connect::TlsRoots;
use crate::http::pool::Pool;
use crate::http::signed::Signers;
use crate::limits::Limits;

/// What a guest may use and reach. All guests of a sandbox share one policy.
#[derive(Debug)]
pub(crate) struct Policy {
    /// What one guest may use for one message.
    pub(crate) limits: Limits,
    /// What a guest may reach.
    pub(crate) grants: Grants,
    /// How the servers that a guest reaches prove who they are.
    pub(crate) tls: TlsRoots,
    /// Connections that are kept from one request to the next.
    pub(crate) pool: Pool,
    /// What the host adds to requests.
    pub(crate) signers: Signers,
    /// How many messages one instance may handle.
    pub(crate) reuse: u32,
}

impl Policy {
    pub(crate) fn new(limits: Limits, grants: Grants, reuse: u32) -> Self {
        let signers = Signers::new(&grants.identities, &grants.headers, grants.tokens.clone());
        Self { limits, grants, tls: TlsRoots::default(), pool: Pool::default(), signers, reuse }
    }
}
