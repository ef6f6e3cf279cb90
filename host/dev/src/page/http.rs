//! What answers a browser, and whom it answers.
//!
//! The page belongs to whoever started it. [`guard`] looks at each request before anything else
//! does: whether it names this host, whether it comes from a page of ours, and whether its browser
//! has shown the link that the terminal prints.

mod deeds;
mod events;
mod form;
mod guard;
mod host;
mod pages;
mod questions;
mod server;
mod session;
mod stream;
mod sweeps;
mod visits;

pub use server::{PageAddress, PageServer};
pub use session::SignIn;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::board::Board;
use host::PageHost;
use questions::Questions;
use session::Sessions;

/// The largest body of a request, in bytes: a message, as a form writes it.
const MAX_REQUEST: usize = 256 * 1024;
/// How long a request may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// How long somebody may leave an answer lying, who takes nothing of it.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How many fields a head may have.
const MAX_HEADERS: usize = 64;
/// How many connections there are at once.
const MAX_CONNECTIONS: usize = 64;
/// How many browsers get events at once. Each has a connection.
const MAX_LISTENERS: usize = 16;

/// What every answer is made from.
#[derive(Clone)]
struct Site {
    board: Arc<Board>,
    sessions: Arc<Sessions>,
    questions: Arc<Questions>,
    listeners: Arc<Semaphore>,
    host: Arc<PageHost>,
}
