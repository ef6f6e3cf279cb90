//! What it means for a queue that there is no token.

use longshore_azure::NoToken;
use longshore_queue::{QueueError, QueueUrl};

/// Before the first token it is a fault; after it, identity may come back, and the token with it.
pub(crate) fn no_token(error: NoToken, queue: &QueueUrl) -> QueueError {
    if error.never_had {
        QueueError::Fault { cause: error.cause, mend: error.mend }
    } else {
        QueueError::busy(queue, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_that_is_missing_is_a_fault_and_a_later_one_may_come_back() {
        let queue = "https://acme.queue.core.windows.net/orders".parse().unwrap();
        let none = |never_had| {
            no_token(NoToken { cause: "no answer".into(), mend: "log in".into(), never_had }, &queue)
        };
        let (cause, mend) = ("no answer".into(), "log in".into());
        assert_eq!(none(true), QueueError::Fault { cause, mend });
        assert_eq!(none(false), QueueError::busy(&queue, "no answer; log in"));
    }
}
