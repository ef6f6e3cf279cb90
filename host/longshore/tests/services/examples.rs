//! The examples of `examples/`, in each of their languages, through the real binary: they call
//! Azurite's blobs and tables with Microsoft's own SDKs and without a credential, and the host
//! signs with its managed identity.
//!
//! `make examples` builds them.

mod adapters;
mod claim_check;
mod exactly_once;
mod example;
mod storage;
