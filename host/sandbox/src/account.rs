//! What one guest has: its own memory, and what the host keeps for it. Both count against one
//! limit, so that no guest can put into the host what it may not have itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The bytes that one guest has. Tasks of the host that work for the guest count here as well.
#[derive(Debug)]
pub(crate) struct Account {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    /// Whether something was refused since the message began.
    refused: AtomicBool,
}

impl Account {
    /// Nothing yet, and at most this many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let (used, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { limit, used, peak, refused: AtomicBool::new(false) }
    }

    /// Takes bytes, and says whether the guest may have them. A refusal takes nothing, and is
    /// remembered.
    #[must_use]
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        match self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                true
            }
            Err(_) => {
                self.refused.store(true, Ordering::Relaxed);
                false
            }
        }
    }

    /// Gives back bytes that were taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        let less = |used: usize| Some(used.saturating_sub(bytes));
        // The closure always answers.
        let _ = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Takes bytes until the result is dropped.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        self.take(bytes).then(|| Held { account: Arc::clone(self), bytes })
    }

    /// Bytes that it has now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most that it had at a time, in bytes.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Whether it was refused something since the message began.
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Forgets a refusal: another message begins in the same instance.
    pub(crate) fn begin(&self) {
        self.refused.store(false, Ordering::Relaxed);
        self.peak.store(self.used(), Ordering::Relaxed);
    }
}

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    account: Arc<Account>,
    bytes: usize,
}

impl Held {
    /// Takes more, and says whether the guest may have it.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.account.take(bytes);
        if taken {
            self.bytes += bytes;
        }
        taken
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Account;

    #[test]
    fn what_is_taken_and_held_counts_together_and_the_most_of_it_is_remembered() {
        let account = Arc::new(Account::new(100));
        assert!(account.take(60));
        let mut held = account.hold(30).unwrap();
        assert!(held.grow(10));
        assert!(!account.take(1) && !held.grow(1) && account.hold(1).is_none());
        assert!(account.refused());
        drop(held);
        assert_eq!((account.used(), account.peak()), (60, 100));
        account.begin();
        assert_eq!((account.refused(), account.peak()), (false, 60));
        account.give_back(100);
        assert_eq!(account.used(), 0);
        assert!(!account.take(usize::MAX) && account.take(100));
    }
}
