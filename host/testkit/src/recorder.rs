//! A handler that needs no component.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use longshore_handler::Handler;
use longshore_handler::{Answer, Invocation, RetryReason, Unavailable, Verdict};

/// A handler that does what bodies say, and remembers which it was given: `reject`, `once` (fails
/// at first) or anything.
#[derive(Default)]
pub struct Recorder {
    /// Id, body and dequeue count of each.
    pub seen: Mutex<Vec<(String, String, u32)>>,
    /// How long each takes.
    pub work: Duration,
}

impl Recorder {
    /// How often each body was handled.
    pub fn handled(&self) -> HashMap<String, u32> {
        let mut handled = HashMap::new();
        for (_, body, _) in self.seen.lock().unwrap().iter() {
            *handled.entry(body.clone()).or_default() += 1;
        }
        handled
    }
}

#[async_trait::async_trait]
impl Handler for Recorder {
    async fn handle(&self, invocation: Invocation) -> Answer {
        let body = String::from_utf8(invocation.body.to_vec()).unwrap();
        tokio::time::sleep(self.work).await;
        self.seen.lock().unwrap().push((invocation.id, body.clone(), invocation.dequeue_count));
        if body.contains("reject") {
            return Verdict::Reject { detail: "as asked".into() }.into();
        }
        if body.contains("once") && invocation.dequeue_count == 1 {
            let reason = RetryReason::Requested;
            return Verdict::Retry { reason, detail: "as asked".into(), after: None }.into();
        }
        Verdict::Completed.into()
    }

    async fn reload(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    fn digest(&self) -> Option<String> {
        None
    }
}
