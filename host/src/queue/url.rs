//! Queues are named by URL.

/// The address of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUrl;

impl std::fmt::Display for QueueUrl {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
