//! One server that is called directly, and the connections to it.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep};

pub(super) use super::connection::DirectCall;
use super::connection::{CallFailed, DirectConnection};
use super::dial::Dial;
use super::no_reply::NoReply;

/// How long a connection is kept for the next call. Some servers close theirs after 5 s, and a call
/// that meets the closing has no clear answer.
pub(super) const IDLE: Duration = Duration::from_secs(4);
/// As many as there may be calls at once: a worker handles up to a thousand messages.
pub(super) const MAX_IDLE_CONNECTIONS: usize = 1024;

/// A server, and the connections to it that no call uses.
pub(super) struct DirectServer {
    dial: Dial,
    idle: Mutex<IdleConnections>,
}

#[derive(Default)]
struct IdleConnections {
    /// The one that was used last is the last.
    connections: Vec<(Instant, DirectConnection)>,
    /// Whether a task closes those that are kept for too long.
    are_watched: bool,
}

impl DirectServer {
    /// The server that this leads to.
    pub(super) fn new(dial: Dial) -> Self {
        Self { dial, idle: Mutex::default() }
    }

    /// Calls the server, and reads up to `max` bytes of the answer's body.
    ///
    /// A call goes out once. It is repeated where the server closed a connection that was kept,
    /// before anything of the call was sent over it.
    ///
    /// # Errors
    /// No answer came.
    pub(super) async fn call(
        self: &Arc<Self>,
        call: DirectCall,
        max: usize,
    ) -> Result<Response<Bytes>, NoReply> {
        unconstrained(self.called(call, max)).await
    }

    async fn called(self: &Arc<Self>, mut call: DirectCall, max: usize) -> Result<Response<Bytes>, NoReply> {
        while let Some(mut connection) = self.kept() {
            match connection.carry(call, max).await {
                Err(CallFailed::Unsent(again)) => call = *again,
                Err(CallFailed::Sent(error)) => return Err(error),
                Ok(answer) => {
                    self.keep(connection);
                    return Ok(answer);
                }
            }
        }
        let mut connection = DirectConnection::new(self.dial.connect().await?).await?;
        match connection.carry(call, max).await {
            Err(CallFailed::Unsent(_)) => Err(NoReply::Unreached("it closes connections at once".into())),
            Err(CallFailed::Sent(error)) => Err(error),
            Ok(answer) => {
                self.keep(connection);
                Ok(answer)
            }
        }
    }

    /// A connection that was kept, and can carry a call as far as is known.
    fn kept(&self) -> Option<DirectConnection> {
        loop {
            let mut connection = self.idle().take()?;
            if connection.is_usable() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next call, if it can carry one.
    fn keep(self: &Arc<Self>, mut connection: DirectConnection) {
        if !connection.is_usable() {
            return;
        }
        let mut idle = self.idle();
        if idle.connections.len() < MAX_IDLE_CONNECTIONS {
            idle.connections.push((Instant::now(), connection));
        }
        if !std::mem::replace(&mut idle.are_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, IdleConnections> {
        // What it guards is valid after every statement.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleConnections {
    /// The one that was used last, if that was not too long ago.
    fn take(&mut self) -> Option<DirectConnection> {
        let (since, connection) = self.connections.pop()?;
        if since.elapsed() < IDLE {
            return Some(connection);
        }
        // The others have been kept for longer.
        self.connections.clear();
        None
    }
}

/// Closes what no call uses, until nothing is left.
async fn watch(server: Weak<DirectServer>) {
    loop {
        sleep(IDLE).await;
        let Some(server) = server.upgrade() else { return };
        let mut idle = server.idle();
        let old = idle.connections.iter().take_while(|(since, _)| since.elapsed() >= IDLE).count();
        drop(idle.connections.drain(..old));
        if idle.connections.is_empty() {
            idle.are_watched = false;
            return;
        }
    }
}
