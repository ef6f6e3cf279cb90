//! What every kind of queue promises.

use crate::logs::listen;
use crate::queue_suite::{self, Subject, keeps_every_promise};

keeps_every_promise!(subject);

async fn subject() -> Subject {
    let queue = super::queue();
    queue.create().await.unwrap();
    Subject { queue, missing: super::queue(), _keep: Box::new(listen()) }
}
