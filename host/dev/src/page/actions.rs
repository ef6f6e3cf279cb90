//! What the buttons of the page ask for.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Does what the buttons ask for. An error is a sentence for people.
#[async_trait]
pub trait PageActions: Send + Sync {
    /// Says what a sweep would do now, and does nothing.
    async fn foresee(&self, sweep: &PoisonSweep) -> Result<SweepCount, String>;

    /// Sends poison messages to their queue again, or deletes them.
    async fn sweep(&self, sweep: &PoisonSweep) -> Result<SweepCount, String>;

    /// The same from a terminal, which asks first: with `dry_run` it says how many of these would
    /// be sent again, or of all where no id is named. Without it, those are sent that were asked
    /// about last, and none that came in meanwhile.
    async fn redrive(&self, ids: &[String], dry_run: bool) -> Result<SweepCount, String>;

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

/// What is done with poison messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepVerb {
    /// They are sent to their queue again.
    Redrive,
    /// They are deleted.
    Purge,
}

/// Poison messages, and what is done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoisonSweep {
    /// What is done.
    pub verb: SweepVerb,
    /// With which.
    pub chosen: ChosenPoison,
}

/// Which poison messages are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChosenPoison {
    /// Those of these ids; all of them where no id is named.
    pub ids: Vec<String>,
    /// Only those that were in the poison queue by this moment.
    pub until: Option<Timestamp>,
    /// So many of them, and no more.
    pub at_most: Option<u64>,
}

impl ChosenPoison {
    /// These, and no others.
    #[must_use]
    pub fn these(ids: Vec<String>) -> Self {
        Self { ids, ..Self::default() }
    }
}

/// What became of poison messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepCount {
    /// How many were dealt with, or would be.
    pub messages: u64,
    /// How many lie in the poison queue by its own count, where it shows less than it holds.
    pub of_about: Option<u64>,
    /// By when all of them were in the poison queue, where it says that itself.
    pub inserted_until: Option<Timestamp>,
    /// How many stay, by reason.
    pub skipped: Vec<(String, u64)>,
}
