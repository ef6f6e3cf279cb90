//! Redrives and purges that go on, and what came of the last ones: whoever closes a tab finds out
//! in the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::actions::{SweepCount, SweepVerb};

/// How many are remembered.
const MAX_WORK: usize = 3;
/// For how long one is shown that has ended, in milliseconds.
const SHOWN_MS: i64 = 5 * 60 * 1000;

/// What goes on, and what has ended a short time ago; the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoisonWork(Arc<Mutex<VecDeque<WorkSeen>>>);

/// A redrive or a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkSeen {
    pub(crate) verb: SweepVerb,
    pub(crate) messages: u64,
    pub(crate) begun_ms: i64,
    /// How many messages the poison queue had at the beginning.
    pub(crate) poison: Option<u64>,
    /// When it ended, and how many were done, or why it ended.
    pub(crate) end: Option<(i64, Result<u64, String>)>,
}

/// One that goes on. When it is dropped, it is over.
#[derive(Debug)]
pub(crate) struct WorkMark {
    work: PoisonWork,
    begun_ms: i64,
}

impl PoisonWork {
    /// Begins one; `None` while another goes on, whose leases it would wait for.
    pub(crate) fn begin(&self, verb: SweepVerb, messages: u64, poison: Option<u64>) -> Option<WorkMark> {
        let mut all = self.lock();
        if all.iter().any(|it| it.end.is_none()) {
            return None;
        }
        let begun_ms = now();
        all.push_front(WorkSeen { verb, messages, begun_ms, poison, end: None });
        all.truncate(MAX_WORK);
        Some(WorkMark { work: self.clone(), begun_ms })
    }

    /// Those that are to be shown.
    pub(crate) fn seen(&self) -> Vec<WorkSeen> {
        let since = now() - SHOWN_MS;
        let is_shown = |it: &&WorkSeen| it.end.as_ref().is_none_or(|(at_ms, _)| *at_ms > since);
        self.lock().iter().filter(is_shown).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<WorkSeen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkMark {
    /// It has ended like this.
    pub(crate) fn ends(self, swept: &Result<SweepCount, String>) {
        self.end(swept.as_ref().map(|it| it.messages).map_err(Clone::clone));
    }

    fn end(&self, how: Result<u64, String>) {
        let mut all = self.work.lock();
        if let Some(own) = all.iter_mut().find(|it| it.begun_ms == self.begun_ms && it.end.is_none()) {
            own.end = Some((now(), how));
        }
    }
}

impl Drop for WorkMark {
    fn drop(&mut self) {
        self.end(Err("it was given up".into()));
    }
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_at_a_time_and_its_end_is_remembered_however_it_comes() {
        let work = PoisonWork::default();
        let first = work.begin(SweepVerb::Redrive, 3, Some(4)).unwrap();
        assert!(work.begin(SweepVerb::Purge, 1, None).is_none());
        assert!(work.seen()[0].end.is_none());
        first.ends(&Ok(SweepCount { messages: 2, ..SweepCount::default() }));
        assert!(matches!(work.seen()[0].end, Some((_, Ok(2)))));
        drop(work.begin(SweepVerb::Purge, 1, None).unwrap());
        assert!(matches!(&work.seen()[0].end, Some((_, Err(why))) if why.contains("given up")));
    }
}
