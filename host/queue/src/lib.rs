//! What the host asks of a queue, in the words of Azure Storage Queue, and what each kind of queue
//! is.
//!
//! One trait, [`Queue`], the few types that cross it, and one table of kinds, [`kind::KINDS`]. A
//! queue knows nothing of the worker that empties it: it leases, counts, updates and deletes. All
//! times to live and visibility timeouts are durations, measured by the service's own clock, so
//! that a host whose clock is wrong still keeps its leases.

pub mod delivery_limit;
pub mod encoding;
mod error;
pub mod kind;
pub mod limits;
mod message;
mod other_tool;
mod parse;
pub mod place;
pub mod queue;
mod same;
mod sessions;
mod this_host;
mod token_host;
pub mod url;

pub use self::error::QueueError;
pub use self::limits::{MAX_RECEIVE, MAX_VISIBILITY};
pub use self::message::{
    CONTENT_TYPE, DETAIL_PROPERTY, DeadLetter, Horizon, MAX_DEAD_LETTER_TEXT, Message, Outgoing, Properties,
    REASON_PROPERTY, Receipt, Received, Specimen, Whole,
};
pub use self::queue::{Onlooker, Queue, Right};
pub use self::sessions::{SESSION_ID, SessionLook, SessionOptions, SessionStanding, session_of};
pub use self::url::QueueUrl;
