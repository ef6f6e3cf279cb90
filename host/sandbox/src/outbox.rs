//! Messages for other queues, kept until it is known whether the handler succeeded.

use longshore_handler::{OutboxMessage, RetryReason};

use crate::host_trap::HostTrap;
use crate::limits::Limits;

/// What a message costs the host beside its bytes, as does each of its properties, in bytes. All of
/// them may be empty.
pub(crate) const OVERHEAD: usize = 128;

/// What one handler has sent so far.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    messages: Vec<OutboxMessage>,
    bytes: usize,
}

impl Outbox {
    /// Whether one more message may be sent.
    pub(crate) fn admits_one_more(&self, limits: &Limits) -> Result<(), HostTrap> {
        let limit = limits.outbox_messages;
        if self.messages.len() < limit {
            return Ok(());
        }
        Err(full(format!("more than {limit} messages for other queues")))
    }

    /// Whether a message of `size` bytes, its properties included, fits beside what was sent so
    /// far.
    pub(crate) fn admits_bytes(&self, size: usize, limits: &Limits) -> Result<(), HostTrap> {
        let limit = limits.outbox_bytes;
        if size <= limit.saturating_sub(self.bytes) {
            return Ok(());
        }
        Err(full(format!("more than {limit} bytes for other queues")))
    }

    /// Keeps a message that counts for `size` bytes.
    pub(crate) fn push(&mut self, message: OutboxMessage, size: usize) {
        self.messages.push(message);
        self.bytes += size;
    }

    /// Takes all messages out, in their order, and begins anew.
    pub(crate) fn take(&mut self) -> Vec<OutboxMessage> {
        std::mem::take(self).messages
    }
}

fn full(detail: String) -> HostTrap {
    HostTrap { reason: RetryReason::OutboxLimit, detail }
}

#[cfg(test)]
mod tests {
    use longshore_handler::{OutboxMessage, RetryReason};

    use super::Outbox;
    use crate::limits::Limits;

    fn message(output: &str) -> OutboxMessage {
        OutboxMessage { output: output.into(), body: "body".into(), properties: Vec::new() }
    }

    #[test]
    fn messages_come_out_in_their_order_and_leave_the_outbox_as_new() {
        let limits = Limits { outbox_messages: 2, outbox_bytes: 10, ..Limits::default() };
        let mut outbox = Outbox::default();
        outbox.push(message("first"), 6);
        outbox.push(message("second"), 4);
        assert!(outbox.admits_one_more(&limits).is_err() && outbox.admits_bytes(1, &limits).is_err());
        assert_eq!(outbox.take(), [message("first"), message("second")]);
        assert_eq!(outbox.admits_one_more(&limits), Ok(()));
        assert_eq!(outbox.admits_bytes(10, &limits), Ok(()));
        assert_eq!(outbox.take(), []);
    }

    #[test]
    fn the_number_of_messages_is_limited() {
        let limits = Limits { outbox_messages: 1, ..Limits::default() };
        let mut outbox = Outbox::default();
        assert_eq!(outbox.admits_one_more(&limits), Ok(()));
        outbox.push(message("first"), 0);
        let trap = outbox.admits_one_more(&limits).unwrap_err();
        assert_eq!(trap.reason, RetryReason::OutboxLimit);
        assert_eq!(trap.to_string(), "more than 1 messages for other queues");
    }

    #[test]
    fn the_bytes_of_all_messages_count_together() {
        let limits = Limits { outbox_bytes: 10, ..Limits::default() };
        let mut outbox = Outbox::default();
        assert_eq!(outbox.admits_bytes(10, &limits), Ok(()));
        outbox.push(message("first"), 4);
        outbox.push(message("second"), 4);
        assert_eq!(outbox.admits_bytes(2, &limits), Ok(()));
        let trap = outbox.admits_bytes(3, &limits).unwrap_err();
        assert_eq!(trap.reason, RetryReason::OutboxLimit);
        assert_eq!(trap.to_string(), "more than 10 bytes for other queues");
    }
}
