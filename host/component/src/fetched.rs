//! What came of fetching a component.

use bytes::Bytes;
use longshore_sandbox::MachineCode;

/// A component's bytes.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The bytes that were there: a component, or anything else.
    pub bytes: Bytes,
    /// What names it in logs and poison envelopes: `sha256:` and 64 hexadecimal digits. It is the
    /// digest of a file's bytes. For a registry it is the digest of the manifest, by which the
    /// component can be fetched again.
    pub digest: String,
}

/// A component, in one of the forms in which it can be loaded.
#[derive(Clone, Debug)]
pub(crate) enum Obtained {
    /// As it was built.
    Component(Bytes),
    /// As it was compiled, where the operator trusts it.
    MachineCode(MachineCode),
}
