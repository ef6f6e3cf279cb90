//! What the sandbox promises, with real components: the example, the hostile one, and the oldest.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod conformance;
mod contracts;
mod grants;
mod hostile;
mod http;
mod kept;
mod limits;
