//! `longshore queue create|stats|compact`.

use serde::Serialize;

use super::print;
use crate::cli::{Format, QueueVerb};
use crate::exit::{Exit, Failure};
use longshore_queue::queue::Compacted;
use longshore_queue_drivers::open;

#[derive(Serialize)]
struct Created {
    queue: String,
    created: bool,
}

#[derive(Serialize)]
struct CompactedQueue {
    queue: String,
    before_bytes: u64,
    after_bytes: u64,
}

#[derive(Serialize)]
struct Stats {
    queue: String,
    approximate_count: u64,
}

pub(super) async fn execute(verb: QueueVerb, format: Format) -> Result<Exit, Failure> {
    match verb {
        QueueVerb::Create(args) => {
            let created = open(&args.queue).await?.create().await?;
            let result = Created { queue: args.queue.to_string(), created };
            let what = if created { "created" } else { "it was there" };
            print::fields(&[("queue", result.queue.clone()), ("result", what.into())], &result, format)?;
        }
        QueueVerb::Stats(args) => {
            let approximate_count = open(&args.queue).await?.approximate_count().await?;
            let result = Stats { queue: args.queue.to_string(), approximate_count };
            let fields =
                [("queue", result.queue.clone()), ("approximate count", approximate_count.to_string())];
            print::fields(&fields, &result, format)?;
        }
        QueueVerb::Compact(args) => {
            let Compacted { before, after } = open(&args.queue).await?.compact().await?;
            let queue = args.queue.to_string();
            let result = CompactedQueue { queue, before_bytes: before, after_bytes: after };
            let kibibytes = |bytes: u64| format!("{} KiB", bytes >> 10);
            let fields =
                [("queue", result.queue.clone()), ("before", kibibytes(before)), ("after", kibibytes(after))];
            print::fields(&fields, &result, format)?;
        }
    }
    Ok(Exit::Done)
}
