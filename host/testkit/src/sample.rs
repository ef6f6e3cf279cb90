//! Messages for tests that do not care what is in them.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use longshore_handler::{Invocation, SessionState};
use longshore_queue::encoding::Encoding;

/// The first attempt at a message of queue `orders`, with half a minute to handle it.
pub fn invocation(id: impl Into<String>, body: impl AsRef<[u8]>) -> Invocation {
    Invocation {
        id: id.into(),
        queue: "orders".into(),
        body: body.as_ref().to_vec().into(),
        dequeue_count: 1,
        inserted: Timestamp::UNIX_EPOCH,
        deadline: Duration::from_secs(30),
        properties: Vec::new(),
        trace: None,
        session: SessionState::NoSession,
    }
}

/// A body as a handler sees it: as the host decodes by default what lies in a queue.
pub fn decoded(body: &str) -> Bytes {
    Encoding::Auto.decode(&Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

/// The body of an order event, as the example handler takes it: `msg` says what it does, such as
/// `ok`, `reject`, `retry-until:2` or `sleep:50`.
pub fn order(id: &str, msg: &str) -> String {
    serde_json::json!({ "order_id": id, "msg": msg }).to_string()
}
