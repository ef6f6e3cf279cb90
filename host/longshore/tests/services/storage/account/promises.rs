//! What every kind of queue promises.

use crate::storage::logs::listen;
use longshore_testkit::queue_suite::{Subject, keeps_every_promise};

keeps_every_promise!(subject);

async fn subject() -> Subject {
    let queue = super::queue();
    queue.create().await.unwrap();
    Subject { queue, missing: super::queue(), _keep: Box::new(listen()) }
}
