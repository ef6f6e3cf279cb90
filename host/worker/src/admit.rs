//! What is looked at before a message reaches a handler: its dequeue count first, then its
//! encoding (rule 2).

use bytes::Bytes;

use crate::poison::PoisonReason;
use longshore_queue::Message;
use longshore_queue::encoding::Encoding;

/// The decoded body of a message that may be handled, or why it goes to the poison queue unhandled.
///
/// `damaged` is why the queue itself could not read the body, if so.
pub fn admit(
    message: &Message,
    damaged: Option<String>,
    max_dequeue: u32,
    encoding: Encoding,
) -> Result<Bytes, (PoisonReason, String)> {
    // A message that was received was received once at least. Where no count could be read, it is
    // 0: it would never be found to be too high.
    if message.dequeue_count == 0 {
        let cause = damaged.unwrap_or_else(|| "its dequeue count is 0, although it was received".into());
        return Err((PoisonReason::Undecodable, cause));
    }
    if message.dequeue_count > max_dequeue {
        let detail = format!("received {} times, of {max_dequeue} allowed", message.dequeue_count);
        return Err((PoisonReason::AttemptsExhausted, detail));
    }
    if let Some(cause) = damaged {
        return Err((PoisonReason::Undecodable, cause));
    }
    encoding.decode(&message.body).map_err(|cause| (PoisonReason::Undecodable, cause))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_dequeue_count_is_looked_at_before_the_body() {
        let message = Message {
            id: "1".into(),
            body: Bytes::from_static(&[0xff]),
            dequeue_count: 6,
            inserted: Timestamp::UNIX_EPOCH,
            time_to_live: None,
            properties: Vec::new(),
        };
        assert_eq!(
            admit(&message, Some("broken".into()), 5, Encoding::Auto).unwrap_err().0,
            PoisonReason::AttemptsExhausted
        );
        assert_eq!(admit(&message, None, 6, Encoding::Auto).unwrap_err().0, PoisonReason::Undecodable);
        let intact = Message { body: Bytes::from_static(b"{}"), ..message };
        let uncounted = Message { dequeue_count: 0, ..intact.clone() };
        assert_eq!(admit(&uncounted, None, 6, Encoding::Auto).unwrap_err().0, PoisonReason::Undecodable);
        let damaged = admit(&intact, Some("broken".into()), 6, Encoding::Auto);
        assert_eq!(damaged.unwrap_err(), (PoisonReason::Undecodable, "broken".into()));
    }
}
