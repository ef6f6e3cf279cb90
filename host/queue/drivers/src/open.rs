//! Which queue a URL opens.

use std::sync::Arc;

use longshore_azure::Azure;
use longshore_queue::place::Place;
use longshore_queue::{Queue, QueueError, QueueUrl};

use crate::file::FileQueue;
use crate::servicebus::ServiceBusQueue;
use crate::storage::StorageQueue;

/// Opens the queue behind a URL.
///
/// # Errors
/// [`QueueError::Fault`] when this kind of queue cannot be opened.
pub async fn open(url: &QueueUrl) -> Result<Arc<dyn Queue>, QueueError> {
    match url.place() {
        Place::File { directory } => Ok(Arc::new(FileQueue::open(url.clone(), directory)?)),
        Place::Storage { .. } => Ok(Arc::new(StorageQueue::open(url.clone(), Azure::shared())?)),
        Place::ServiceBus { .. } => Ok(Arc::new(ServiceBusQueue::open(url.clone(), Azure::shared())?)),
    }
}
