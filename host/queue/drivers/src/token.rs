//! What it means for a queue that there is no token.

use longshore_azure::NoToken;
use longshore_queue::QueueError;

/// Before the first token it is a fault; after it, identity may come back, and the token with it.
pub(crate) fn no_token(error: NoToken) -> QueueError {
    if error.never_had {
        QueueError::Fault { cause: error.cause, mend: error.mend }
    } else {
        QueueError::Busy { cause: error.to_string(), retry_after: None }
    }
}
