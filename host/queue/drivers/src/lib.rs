//! The queues themselves, a module for each kind, and which of them a URL opens.

pub mod file;
mod open;
pub mod servicebus;
pub mod storage;
mod token;

pub use self::open::{open, open_with};
