//! The connections that there are at once, and which of them makes room for the next one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// The connections that there are. A new one always finds room: where there are as many as there
/// may be, one leaves. Nobody who was not let in can make one leave that was.
#[derive(Debug)]
pub(super) struct Visits {
    at_most: usize,
    begun: Instant,
    there: Mutex<Vec<Arc<Visit>>>,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Visit {
    /// When bytes went either way last, in milliseconds since the beginning.
    moved_ms: AtomicU64,
    /// A request on it has shown the cookie.
    is_let_in: AtomicBool,
    leave: Notify,
}

/// A connection that is counted while this lives.
#[derive(Debug)]
pub(super) struct VisitMark {
    visits: Arc<Visits>,
    visit: Arc<Visit>,
}

impl Visits {
    pub(super) fn new(at_most: usize) -> Self {
        Self { at_most, begun: Instant::now(), there: Mutex::default() }
    }

    /// Counts a new connection. What was silent for the longest time leaves, where it has to.
    pub(super) fn begin(self: &Arc<Self>) -> VisitMark {
        let visit = Arc::new(Visit::default());
        let mark = VisitMark { visits: self.clone(), visit: visit.clone() };
        mark.moved();
        let mut there = self.lock();
        if there.len() >= self.at_most {
            let silent = |it: &&Arc<Visit>| {
                (it.is_let_in.load(Ordering::Relaxed), it.moved_ms.load(Ordering::Relaxed))
            };
            if let Some(leaves) = there.iter().min_by_key(silent).cloned() {
                leaves.leave.notify_one();
                there.retain(|it| !Arc::ptr_eq(it, &leaves));
            }
        }
        there.push(visit);
        mark
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Visit>>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// A request has shown the cookie.
    pub(super) fn is_let_in(&self) {
        self.is_let_in.store(true, Ordering::Relaxed);
    }

    /// Waits until it has to make room.
    pub(super) async fn has_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl VisitMark {
    /// Bytes went either way.
    pub(super) fn moved(&self) {
        let now = u64::try_from(self.visits.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.visit.moved_ms.store(now, Ordering::Relaxed);
    }

    /// The connection, for whoever answers requests on it.
    pub(super) fn visit(&self) -> Arc<Visit> {
        self.visit.clone()
    }
}

impl Drop for VisitMark {
    fn drop(&mut self) {
        self.visits.lock().retain(|it| !Arc::ptr_eq(it, &self.visit));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_one_that_was_silent_longest_leaves_and_whoever_was_let_in_stays() {
        let visits = Arc::new(Visits::new(3));
        let marks: Vec<_> = (0..3).map(|_| visits.begin()).collect();
        marks[0].visit().is_let_in();
        marks[0].visit.moved_ms.store(0, Ordering::Relaxed);
        marks[1].visit.moved_ms.store(7, Ordering::Relaxed);
        marks[2].visit.moved_ms.store(5, Ordering::Relaxed);
        let leaves = |at: usize| marks[at].visit.has_to_leave().now_or_never().is_some();
        let new = visits.begin();
        new.visit.moved_ms.store(9, Ordering::Relaxed);
        assert!(leaves(2) && !leaves(0) && !leaves(1), "5 is longer ago than 7");
        let _next = visits.begin();
        assert!(leaves(1) && !leaves(0));
        drop((marks, new));
        assert_eq!(visits.lock().len(), 1);
    }
}
