//! `longshore queue create|stats`.

use serde::Serialize;

use super::print;
use crate::cli::{Format, QueueVerb};
use crate::exit::{Exit, Failure};
use longshore_queue_drivers::open;

#[derive(Serialize)]
struct Created {
    queue: String,
    created: bool,
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
    }
    Ok(Exit::Done)
}
