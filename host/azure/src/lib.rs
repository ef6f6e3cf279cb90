//! Azure, as every part of the host reaches it: which identity, its tokens, and one transport for
//! all.
//!
//! The crates are the official ones, `azure_core`, `azure_identity` and `azure_storage_queue`. The
//! community's `azure_storage_queues`, with an s, is retired.

pub mod arm;
mod authorize;
mod azure;
mod cause;
mod credential;
mod developer;
mod failed_try;
mod http;
pub mod jobs;
pub mod logs;
mod look;
mod managed_identity;
mod no_answer;
mod patience;
mod retry_after;
mod token;

pub use self::authorize::{Authorize, Unanswered};
pub use self::azure::Azure;
pub use self::cause::cause;
pub use self::credential::{Credential, client_options};
pub use self::http::{
    HttpCall, HttpServer, NoReply, PostAnswer, SharedHttp, choose_cryptography, is_this_host,
};
pub use self::look::Looked;
pub use self::retry_after::{retry_after, seconds_to_wait};
pub use self::token::{NoToken, Token, Tokens};
