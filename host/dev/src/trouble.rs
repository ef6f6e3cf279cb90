//! Trouble that is made by hand, to see what a job does in it.
//!
//! `longshore dev` writes a small file, and each of its executions reads it before it asks the
//! queue for something. A build without the feature `dev` has none of this.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use longshore_queue::queue::Compacted;
use longshore_queue::{
    DeadLetter, Horizon, Message, Onlooker, Outgoing, Queue, QueueError, QueueUrl, Receipt, Received, Right,
    Specimen, Whole,
};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1_024;

/// What fails, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TroubleTimes {
    /// Until then the queue answers with 503, in milliseconds since 1970-01-01 UTC.
    queue_until_ms: i64,
    /// Until then executions that start find no identity endpoint.
    identity_until_ms: i64,
}

/// The trouble that a file tells of.
#[derive(Clone, Debug)]
pub struct Trouble {
    file: PathBuf,
}

impl Trouble {
    /// The trouble that is written in this file. Without the file there is none.
    #[must_use]
    pub fn in_file(file: PathBuf) -> Self {
        Self { file }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How long the queue still answers with 503.
    #[must_use]
    pub fn queue_is_away(&self) -> Option<Duration> {
        left(self.read().queue_until_ms)
    }

    /// How long executions that start still find no identity endpoint.
    #[must_use]
    pub fn identity_is_away(&self) -> Option<Duration> {
        left(self.read().identity_until_ms)
    }

    /// Takes the queue away for so long; zero gives it back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn take_queue(&self, how_long: Duration) -> std::io::Result<()> {
        self.write(TroubleTimes { queue_until_ms: until(how_long), ..self.read() })
    }

    /// Takes the identity endpoint away for so long; zero gives it back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn take_identity(&self, how_long: Duration) -> std::io::Result<()> {
        self.write(TroubleTimes { identity_until_ms: until(how_long), ..self.read() })
    }

    /// Ends all trouble.
    pub fn end(&self) {
        // Where there is no file, there is no trouble.
        let _ = std::fs::remove_file(&self.file);
    }

    fn read(&self) -> TroubleTimes {
        let is_small = std::fs::metadata(&self.file).is_ok_and(|it| it.len() <= MAX_FILE);
        let text = if is_small { std::fs::read(&self.file).unwrap_or_default() } else { Vec::new() };
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write(&self, times: TroubleTimes) -> std::io::Result<()> {
        // An execution that reads sees all of it or nothing.
        let beside = self.file.with_extension("trouble-new");
        std::fs::write(&beside, serde_json::to_vec(&times)?)?;
        std::fs::rename(&beside, &self.file)
    }
}

fn until(how_long: Duration) -> i64 {
    let length = i64::try_from(how_long.as_millis()).unwrap_or(i64::MAX);
    Timestamp::now().as_millisecond().saturating_add(length)
}

fn left(until_ms: i64) -> Option<Duration> {
    let left = until_ms.saturating_sub(Timestamp::now().as_millisecond());
    u64::try_from(left).ok().filter(|it| *it > 0).map(Duration::from_millis)
}

/// A queue that answers with 503 while the trouble says so.
#[derive(Debug)]
pub struct TroubledQueue {
    queue: Arc<dyn Queue>,
    trouble: Trouble,
}

impl TroubledQueue {
    /// This queue, with trouble.
    #[must_use]
    pub fn new(queue: Arc<dyn Queue>, trouble: Trouble) -> Self {
        Self { queue, trouble }
    }

    fn answers(&self) -> Result<(), QueueError> {
        match self.trouble.queue_is_away() {
            None => Ok(()),
            Some(_) => {
                Err(QueueError::busy(self.queue.url(), "503 Server Busy, as the page was asked to have it"))
            }
        }
    }
}

#[async_trait]
impl Queue for TroubledQueue {
    fn url(&self) -> &QueueUrl {
        self.queue.url()
    }
    async fn prepare(&self) -> Result<(), QueueError> {
        self.queue.prepare().await
    }
    async fn create(&self) -> Result<bool, QueueError> {
        self.answers()?;
        self.queue.create().await
    }
    async fn list(&self) -> Result<Vec<String>, QueueError> {
        self.answers()?;
        self.queue.list().await
    }
    async fn delete_queue(&self) -> Result<(), QueueError> {
        self.answers()?;
        self.queue.delete_queue().await
    }
    async fn may(&self, right: Right) -> Result<(), QueueError> {
        self.answers()?;
        self.queue.may(right).await
    }
    async fn may_send(&self) -> Option<Result<(), QueueError>> {
        match self.answers() {
            Ok(()) => self.queue.may_send().await,
            Err(error) => Some(Err(error)),
        }
    }
    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        self.answers()?;
        self.queue.receive(max, visibility).await
    }
    async fn stop_receiving(&self) {
        self.queue.stop_receiving().await;
    }
    async fn send(&self, message: Outgoing) -> Result<String, QueueError> {
        self.answers()?;
        self.queue.send(message).await
    }
    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        self.answers()?;
        self.queue.update(id, receipt, visibility).await
    }
    async fn hide(&self, id: &str, receipt: &Receipt, delay: Duration) -> Result<Receipt, QueueError> {
        self.answers()?;
        self.queue.hide(id, receipt, delay).await
    }
    async fn lost(&self, receipt: &Receipt) {
        self.queue.lost(receipt).await;
    }
    fn group(&self, received: &Received) -> Option<String> {
        self.queue.group(received)
    }
    fn is_in_order(&self) -> bool {
        self.queue.is_in_order()
    }
    fn poisons_next(&self, receipt: &Receipt) {
        self.queue.poisons_next(receipt);
    }
    async fn groups(&self) -> Result<Option<u64>, QueueError> {
        self.answers()?;
        self.queue.groups().await
    }
    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        self.answers()?;
        self.queue.delete(id, receipt).await
    }
    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        self.answers()?;
        self.queue.peek(max).await
    }
    async fn examine(&self, max: u32) -> Result<Vec<Specimen>, QueueError> {
        self.answers()?;
        self.queue.examine(max).await
    }
    async fn look_through(&self, max: u32, look: Onlooker) -> Result<(), QueueError> {
        self.answers()?;
        self.queue.look_through(max, look).await
    }
    async fn horizon(&self) -> Result<Horizon, QueueError> {
        self.answers()?;
        self.queue.horizon().await
    }
    fn key(&self, received: &Received) -> String {
        self.queue.key(received)
    }
    async fn whole(&self, received: &Received) -> Result<Option<Whole>, QueueError> {
        self.queue.whole(received).await
    }
    async fn learn_limits(&self) {
        self.queue.learn_limits().await;
    }
    async fn approximate_count(&self) -> Result<u64, QueueError> {
        self.answers()?;
        self.queue.approximate_count().await
    }
    async fn visible_count(&self) -> Result<Option<u64>, QueueError> {
        self.answers()?;
        self.queue.visible_count().await
    }
    async fn compact(&self) -> Result<Compacted, QueueError> {
        self.answers()?;
        self.queue.compact().await
    }
    fn max_body(&self) -> usize {
        self.queue.max_body()
    }
    fn fits(&self, body: &[u8]) -> bool {
        self.queue.fits(body)
    }
    fn longest_lease(&self) -> Duration {
        self.queue.longest_lease()
    }
    fn hides_only_while_running(&self) -> bool {
        self.queue.hides_only_while_running()
    }
    fn moves_to(&self, poison: &QueueUrl) -> bool {
        self.queue.moves_to(poison)
    }
    async fn dead_letter(
        &self,
        id: &str,
        receipt: &Receipt,
        letter: DeadLetter<'_>,
    ) -> Result<(), QueueError> {
        self.answers()?;
        self.queue.dead_letter(id, receipt, letter).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_passes_by_itself_and_each_kind_is_on_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let trouble = Trouble::in_file(directory.path().join("orders.dev.trouble"));
        assert_eq!((trouble.queue_is_away(), trouble.identity_is_away()), (None, None));
        trouble.take_queue(Duration::from_secs(60)).unwrap();
        trouble.take_identity(Duration::from_secs(1)).unwrap();
        assert!(trouble.queue_is_away().is_some_and(|left| left > Duration::from_secs(50)));
        assert!(trouble.identity_is_away().is_some_and(|left| left <= Duration::from_secs(1)));
        trouble.take_queue(Duration::ZERO).unwrap();
        assert_eq!(trouble.queue_is_away(), None);
        assert!(trouble.identity_is_away().is_some());
        trouble.end();
        assert_eq!(trouble.identity_is_away(), None);
        std::fs::write(trouble.file(), "{\"queue_until_ms\": 9e99}").unwrap();
        assert_eq!(trouble.queue_is_away(), None, "what cannot be read is no trouble");
    }
}
