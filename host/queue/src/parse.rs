//! How the URL of each kind of queue is read.

pub(crate) mod connection_string;
pub(crate) mod fields;
pub(crate) mod file;
pub(crate) mod malformed;
pub(crate) mod name;
pub(crate) mod service_bus;
pub(crate) mod storage;
pub(crate) mod storage_string;
