//! The trait that every queue implements.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;

use crate::error::QueueError;
use crate::kind::OtherTool;
use crate::limits::MAX_VISIBILITY;
use crate::message::{DeadLetter, Horizon, Message, Outgoing, Receipt, Received, Specimen, Whole};
use crate::sessions::{SessionLook, SessionStanding};
use crate::url::QueueUrl;

/// What an identity may be allowed to do with the messages of a queue: see [`Queue::may`].
///
/// Sending is not among them: most services say whether a caller may send only when it sends. See
/// [`Queue::may_send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To receive messages, and to delete what was received.
    Receive,
    /// To change when a leased message is visible again: to renew, delay or release it.
    Update,
}

/// What [`Queue::compact`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The size of the file before, in bytes.
    pub before: u64,
    /// Its size now, in bytes.
    pub after: u64,
}

/// Takes messages one by one, and says when it has seen enough: see [`Queue::look_through`].
pub type Onlooker = Box<dyn FnMut(Specimen) -> ControlFlow<()> + Send>;

/// A queue of messages with leases, as Azure Storage Queue defines them.
///
/// Every call ends: an implementation puts a time limit on each wait. No call is repeated inside.
/// Whether and when to try again is the caller's decision, since a repeated receive can lease a
/// batch that no caller gets.
#[async_trait::async_trait]
pub trait Queue: fmt::Debug + Send + Sync {
    /// Where the queue is. Its `Display` form holds no secret.
    fn url(&self) -> &QueueUrl;

    /// Does ahead of time what the first call would otherwise wait for: opens what has to be
    /// opened, and gets a token.
    ///
    /// # Errors
    /// What the first call will say again.
    async fn prepare(&self) -> Result<(), QueueError> {
        Ok(())
    }

    /// Creates the queue; `false` when it was there.
    async fn create(&self) -> Result<bool, QueueError>;

    /// The names of the queues of the same directory or account, this one among them if it is
    /// there, in alphabetical order.
    ///
    /// # Errors
    /// [`QueueError::Fault`] where only another program lists them: see
    /// [`Kind::managed_by`](crate::kind::Kind::managed_by).
    async fn list(&self) -> Result<Vec<String>, QueueError> {
        Err(managed_elsewhere(self.url(), "list", |tool, owner, _| tool.list_command(owner)))
    }

    /// Deletes the queue, with every message in it. Its poison queue stays.
    ///
    /// # Errors
    /// [`QueueError::QueueNotFound`] if there is none, and [`QueueError::Fault`] where only another
    /// program deletes it.
    async fn delete_queue(&self) -> Result<(), QueueError> {
        Err(managed_elsewhere(self.url(), "delete", OtherTool::delete_command))
    }

    /// Asks whether the identity has a right on this queue. No message is leased, counted or
    /// changed.
    ///
    /// Each kind asks in its own way. A service that has no such question is asked to change a
    /// message that does not exist: it looks at the caller's rights first, and then finds no
    /// message. `Ok` means that the identity has the right.
    ///
    /// # Errors
    /// [`QueueError::Denied`]: the identity does not have it. Any other error leaves the question
    /// open; [`QueueError::QueueNotFound`] says that there is no queue to have it on.
    async fn may(&self, right: Right) -> Result<(), QueueError>;

    /// Asks whether the identity may send to this queue, where a service says that before it is
    /// sent anything; `None` where only sending would tell.
    async fn may_send(&self) -> Option<Result<(), QueueError>> {
        None
    }

    /// Leases up to `max` messages (at most [`MAX_RECEIVE`](crate::MAX_RECEIVE)) for `visibility`,
    /// and raises the dequeue count of each by one.
    ///
    /// An empty answer says that nothing was visible, and not that the queue is empty.
    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError>;

    /// No receive follows for a while: what was received ahead of a receive is given back, where a
    /// kind of queue does that. Reports no error, since the end of the lease gives it back as well.
    async fn stop_receiving(&self) {}

    /// Puts a message into the queue and returns its id.
    async fn send(&self, message: Outgoing) -> Result<String, QueueError>;

    /// *Update Message*: from now on the message is invisible for `visibility` (zero: visible at
    /// once), and the returned receipt is the only valid one.
    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError>;

    /// The same for a message that waits for its next attempt, or that an open breaker hides: its
    /// lease is not renewed meanwhile.
    async fn hide(&self, id: &str, receipt: &Receipt, delay: Duration) -> Result<Receipt, QueueError> {
        self.update(id, receipt, delay).await
    }

    /// Waits until it is known that the lease on a message is lost, before a call says so. For ever
    /// where only calls say it, and after the message was settled.
    async fn lost(&self, receipt: &Receipt) {
        let _ = receipt;
        std::future::pending().await
    }

    /// How long ago a message was leased that was just received; `None`: when its receive was sent.
    /// A receive that waits for long leases nothing meanwhile.
    fn leased_ago(&self, receipt: &Receipt) -> Option<Duration> {
        let _ = receipt;
        None
    }

    /// Which messages a leased one belongs to, where those come one after the other and in order:
    /// the next one after this one is settled.
    fn group(&self, received: &Received) -> Option<String> {
        let _ = received;
        None
    }

    /// Whether a settled message may make another one visible, since messages come in order.
    fn is_in_order(&self) -> bool {
        false
    }

    /// The state of the session that a leased message belongs to, as it was when that was accepted
    /// or as it was set since; within, `None` if there is none. `None` where messages belong to no
    /// session.
    fn session_state(&self, receipt: &Receipt) -> Option<Option<Bytes>> {
        let _ = receipt;
        None
    }

    /// Sets the state of the session that a leased message belongs to, or clears it. What is
    /// settled next with this receipt is to be completed: should that not come about, a queue may
    /// complete the message when it comes again.
    ///
    /// # Errors
    /// [`QueueError::Fault`] where messages belong to no session, and what the service says of a
    /// state that it does not take.
    async fn set_session_state(&self, receipt: &Receipt, state: Option<Bytes>) -> Result<(), QueueError> {
        let _ = (receipt, state);
        Err(QueueError::Fault {
            cause: format!("{} keeps no state of sessions", self.url()),
            mend: "receive from a queue or a subscription of Service Bus that requires sessions".into(),
        })
    }

    /// What is settled next with this receipt goes to the poison queue. A queue that gives messages
    /// in order may then keep the next one back.
    fn poisons_next(&self, receipt: &Receipt) {
        let _ = receipt;
    }

    /// How many groups have messages, whoever holds them: see [`Queue::group`]. `None` where
    /// messages have none.
    async fn groups(&self) -> Result<Option<u64>, QueueError> {
        Ok(None)
    }

    /// What each group that has messages is doing; `None` where messages have none. Whoever looks
    /// holds a group for a moment.
    async fn look_at_groups(&self) -> Result<Option<Vec<SessionLook>>, QueueError> {
        Ok(None)
    }

    /// Lets a group go on that stands still after a poisoned message. Returns what it was doing
    /// before.
    ///
    /// # Errors
    /// [`QueueError::Fault`] where messages have no groups.
    async fn let_go_on(&self, group: &str) -> Result<SessionStanding, QueueError> {
        let _ = group;
        Err(QueueError::Fault {
            cause: format!("{} has no sessions", self.url()),
            mend: "name a queue or a subscription of Service Bus that requires them".into(),
        })
    }

    /// Deletes a leased message.
    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError>;

    /// Shows up to `max` visible messages without leasing or counting. A Storage queue shows no
    /// more than [`MAX_RECEIVE`](crate::MAX_RECEIVE) ([Peek
    /// Messages](https://learn.microsoft.com/rest/api/storageservices/peek-messages)).
    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError>;

    /// The same messages as [`Queue::peek`] shows, with what tells those of one id apart, and why a
    /// body cannot be read.
    async fn examine(&self, max: u32) -> Result<Vec<Specimen>, QueueError> {
        Ok(self.peek(max).await?.into_iter().map(Specimen::from).collect())
    }

    /// Hands each message that [`Queue::examine`] shows to `look`, until that has seen enough. A
    /// queue on this host keeps none of them, so that large bodies take no memory together.
    async fn look_through(&self, max: u32, mut look: Onlooker) -> Result<(), QueueError> {
        let _ = self.examine(max).await?.into_iter().try_for_each(&mut *look);
        Ok(())
    }

    /// What is in the queue now, told from what is put in after this call.
    async fn horizon(&self) -> Result<Horizon, QueueError> {
        Ok(Horizon::Until(jiff::Timestamp::now()))
    }

    /// What tells a message that was received from all others: the [`Specimen::key`] that it is
    /// shown with.
    fn key(&self, received: &Received) -> String {
        received.message.id.clone()
    }

    /// A message that was received, as its sender sent it; `None` where the queue does not tell,
    /// and [`Message`] says all.
    async fn whole(&self, received: &Received) -> Result<Option<Whole>, QueueError> {
        let _ = received;
        Ok(None)
    }

    /// Finds out how large a body [`Queue::send`] takes, where only the service knows: see
    /// [`Queue::max_body`]. Reports no error, since a send says what is wrong.
    async fn learn_limits(&self) {}

    /// How many messages the queue holds, invisible ones included, as KEDA counts them.
    async fn approximate_count(&self) -> Result<u64, QueueError>;

    /// How many messages can be received now: the rest of [`Queue::approximate_count`] is leased or
    /// delayed. `None` where the queue does not say.
    ///
    /// # Errors
    /// The queue does not answer.
    async fn visible_count(&self) -> Result<Option<u64>, QueueError> {
        Ok(None)
    }

    /// Gives back to the disk what deleted messages have left in the queue's own file.
    ///
    /// # Errors
    /// [`QueueError::Fault`] where the queue has no file, or its disk has no room for what is left.
    async fn compact(&self) -> Result<Compacted, QueueError> {
        Err(QueueError::Fault {
            cause: format!("{} is no file of ours: its service keeps its room by itself", self.url()),
            mend: "name a file queue, as in `file:./queues/orders`".into(),
        })
    }

    /// The largest body that the queue takes, in bytes: what its kind says, or the service where it
    /// was asked.
    fn max_body(&self) -> usize {
        self.url().kind().max_body
    }

    /// Whether the queue takes this body: whether it is small enough, and of bytes that the queue
    /// can hold.
    fn fits(&self, body: &[u8]) -> bool {
        body.len() <= self.max_body()
    }

    /// The longest lease that the queue gives, as far as is known after a receive. A longer
    /// visibility timeout is then not what a lease lasts. It may change with each receive.
    fn longest_lease(&self) -> Duration {
        MAX_VISIBILITY
    }

    /// Whether a message that was hidden with [`Queue::update`] becomes visible early when this
    /// process ends.
    fn hides_only_while_running(&self) -> bool {
        false
    }

    /// Whether [`Queue::dead_letter`] can move a message to `poison` in one transaction.
    fn moves_to(&self, poison: &QueueUrl) -> bool {
        let _ = poison;
        false
    }

    /// Moves a leased message to a poison queue: both or neither. Called only when
    /// [`Queue::moves_to`] says so.
    async fn dead_letter(
        &self,
        id: &str,
        receipt: &Receipt,
        letter: DeadLetter<'_>,
    ) -> Result<(), QueueError> {
        let _ = (id, receipt, letter);
        Err(QueueError::Fault {
            cause: format!("{} cannot move a message in one step", self.url()),
            mend: "send a copy, then delete".into(),
        })
    }
}

/// What only another program does, with its command.
fn managed_elsewhere(
    url: &QueueUrl,
    verb: &str,
    command: impl FnOnce(&OtherTool, &str, &str) -> String,
) -> QueueError {
    let kind = url.kind();
    let mend = match &kind.managed_by {
        Some(tool) => format!("`{}` does", command(tool, url.owner().unwrap_or_default(), url.name())),
        None => "do that with the service's own tools".into(),
    };
    QueueError::Fault { cause: format!("longshore does not {verb} queues of the kind of {url}"), mend }
}

#[cfg(test)]
mod tests;
