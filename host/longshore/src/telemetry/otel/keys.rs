//! The names of what spans say, and how much they say of what a sender has written.

use super::metrics::ERROR_TYPE;
use super::wire::AttributeKey;

/// The most bytes of a text from a message that a span has. A sender may write as much as a queue
/// takes, and what waits for its export is kept.
const MAX_TEXT: usize = 256;

pub(super) static BATCH_COUNT: AttributeKey = AttributeKey::new("messaging.batch.message_count");
pub(super) static CONVERSATION: AttributeKey = AttributeKey::new("messaging.message.conversation_id");
pub(super) static CPU: AttributeKey = AttributeKey::new("longshore.cpu_us");
pub(super) static DELIVERIES: AttributeKey = AttributeKey::new("messaging.servicebus.message.delivery_count");
pub(super) static DEQUEUE_COUNT: AttributeKey = AttributeKey::new("longshore.dequeue_count");
/// How a message of Service Bus was settled.
pub(super) static DISPOSITION: AttributeKey = AttributeKey::new("messaging.servicebus.disposition_status");
pub(super) static ENQUEUED: AttributeKey = AttributeKey::new("messaging.servicebus.message.enqueued_time");
pub(super) static ERROR: AttributeKey = AttributeKey::new(ERROR_TYPE);
pub(super) static MESSAGE_ID: AttributeKey = AttributeKey::new("messaging.message.id");
pub(super) static OUTCOME: AttributeKey = AttributeKey::new("longshore.outcome");
pub(super) static PEAK_MEMORY: AttributeKey = AttributeKey::new("longshore.peak_memory_bytes");

/// The beginning of a text that a sender has written.
pub(super) fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_sender_is_cut_between_characters() {
        assert_eq!(capped("short"), "short");
        assert_eq!(capped(&"x".repeat(100_000)).len(), 256);
        assert_eq!(capped(&format!("{}\u{6f22}", "x".repeat(255))).len(), 255);
    }
}
