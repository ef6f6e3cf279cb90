//! What the buttons of the page ask for.

use std::time::Duration;

use async_trait::async_trait;

/// Does what the buttons ask for. An error is a sentence for people.
#[async_trait]
pub trait PageActions: Send + Sync {
    /// Sends these poison messages to their queue again; all of them where no id is named. With
    /// `dry_run` it only says what would be sent.
    async fn redrive(&self, ids: &[String], dry_run: bool) -> Result<SweepCount, String>;

    /// Deletes these poison messages; all of them where no id is named.
    async fn purge(&self, ids: &[String], dry_run: bool) -> Result<SweepCount, String>;

    /// Hands one poison message to the handler, on this machine, and settles nothing. What the
    /// handler said comes back.
    async fn replay(&self, id: &str) -> Result<String, String>;

    /// Ends an execution at once, as a node that goes away.
    async fn kill(&self, execution: &str) -> Result<(), String>;

    /// Has the queue answer 503 for so long; zero ends that.
    async fn take_queue(&self, how_long: Duration) -> Result<(), String>;

    /// Has executions that start find no identity endpoint for so long; zero ends that.
    async fn take_identity(&self, how_long: Duration) -> Result<(), String>;

    /// The trouble that is there, in words.
    fn trouble(&self) -> Vec<String>;
}

/// What became of poison messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepCount {
    /// How many were dealt with, or would be.
    pub messages: u64,
    /// How many stay, by reason.
    pub skipped: Vec<(String, u64)>,
}
