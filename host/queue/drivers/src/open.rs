//! Which queue a URL opens.

use std::sync::Arc;

use longshore_azure::Azure;
use longshore_queue::place::Place;
use longshore_queue::{Queue, QueueError, QueueUrl, SessionOptions};

use crate::file::FileQueue;
use crate::servicebus::ServiceBusQueue;
use crate::storage::StorageQueue;

/// Opens the queue behind a URL.
///
/// # Errors
/// [`QueueError::Fault`] when this kind of queue cannot be opened.
pub async fn open(url: &QueueUrl) -> Result<Arc<dyn Queue>, QueueError> {
    open_with(url, SessionOptions::default()).await
}

/// The same, with the sessions of the queue worked off in this way, if it has any.
///
/// # Errors
/// As [`open`].
pub async fn open_with(url: &QueueUrl, sessions: SessionOptions) -> Result<Arc<dyn Queue>, QueueError> {
    match url.place() {
        Place::File { directory } => Ok(Arc::new(FileQueue::open(url.clone(), directory)?)),
        Place::Storage { .. } => Ok(Arc::new(StorageQueue::open(url.clone(), Azure::shared())?)),
        Place::ServiceBus { .. } => {
            let queue = ServiceBusQueue::open(url.clone(), Azure::shared())?;
            Ok(Arc::new(queue.with_sessions(sessions)))
        }
    }
}
