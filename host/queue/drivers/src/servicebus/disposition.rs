//! What becomes of a locked message.

use longshore_queue::MAX_DEAD_LETTER_TEXT;

/// What becomes of a locked message.
#[derive(Clone, Debug)]
pub(super) enum Disposition {
    Completed,
    Abandoned,
    DeadLettered { reason: String, detail: String },
}

impl Disposition {
    /// The reason and the description of a dead letter, no longer than the service keeps them.
    pub(super) fn texts(&self) -> (&str, &str) {
        let cut = |text: &'_ String| text.floor_char_boundary(MAX_DEAD_LETTER_TEXT);
        match self {
            Self::DeadLettered { reason, detail } => (&reason[..cut(reason)], &detail[..cut(detail)]),
            Self::Completed | Self::Abandoned => ("", ""),
        }
    }
}
