//! An export as it is sent.

use bytes::Bytes;

/// An export: the protocol's message for its signal, encoded, in two pieces. The larger one is not
/// copied to stand behind the other.
#[derive(Clone, Debug)]
pub(super) struct EncodedExport {
    pub(super) head: Bytes,
    pub(super) rest: Bytes,
}
