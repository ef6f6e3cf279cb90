//! What the operator decided for all guests of one sandbox.

use crate::grants::Grants;
use crate::http::connect::TlsRoots;
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
    /// How many messages one instance may handle.
    pub(crate) reuse: u32,
}
