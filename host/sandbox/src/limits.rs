//! What one guest may use for one message.

use std::sync::Arc;

use longshore_handler::RetryReason;
use wasmtime::ResourceLimiter;

use crate::account::Account;

/// Core modules in one component: those of scripting languages link dozens.
pub(crate) const CORE_INSTANCES: u32 = 100;

/// Memories in one component.
pub(crate) const MEMORIES: u32 = 4;

/// Tables in one component.
pub(crate) const TABLES: u32 = 8;

/// What one guest may use for one message, beside its time, which the message's deadline limits.
///
/// A guest that goes beyond a limit ends its attempt with a reason that names the limit (see
/// [`RetryReason`]). Only [`log`](Limits::log) ends nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all its memories together, and in what the host keeps for it: the headers of its
    /// requests, its connections, bodies that are on their way.
    pub memory: usize,
    /// Elements in each of its tables: interpreters need thousands, for their functions.
    pub table_elements: usize,
    /// Bytes of its call stack. A language may keep another stack in memory, and limits it itself.
    pub stack: usize,
    /// Bytes that it may hand to the host in one call, its answer included.
    pub per_call: usize,
    /// Host resources (streams, timers, requests, …) that it may hold at a time.
    pub handles: usize,
    /// HTTP requests, refused ones included.
    pub http_calls: usize,
    /// Bytes of all bodies of HTTP requests and responses together.
    pub http_bytes: usize,
    /// Bytes that it may log, over standard output, standard error and `wasi:logging`. The rest is
    /// dropped and counted.
    pub log: usize,
    /// Bytes of the last lines that it logged for one message, which its answer carries. Zero:
    /// none.
    pub log_tail: usize,
    /// Messages that it may put into the outbox.
    pub outbox_messages: usize,
    /// Bytes of all these messages together, their properties included.
    pub outbox_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            table_elements: 20_000,
            stack: 512 << 10,
            per_call: 1 << 20,
            handles: 1000,
            http_calls: 50,
            http_bytes: 10 << 20,
            log: 64 << 10,
            log_tail: 4 << 10,
            outbox_messages: 100,
            outbox_bytes: 1 << 20,
        }
    }
}

/// Counts one guest's memory and tables. A guest that is refused more usually aborts, which looks
/// like any other trap. Only the refusal, remembered here, tells the two apart.
#[derive(Debug)]
pub(crate) struct Meter {
    account: Arc<Account>,
    table_elements: usize,
    refused: Option<RetryReason>,
}

impl Meter {
    pub(crate) fn new(account: &Arc<Account>, limits: &Limits) -> Self {
        Self { account: Arc::clone(account), table_elements: limits.table_elements, refused: None }
    }

    /// The limit that the guest ran into, if it did.
    pub(crate) fn refused(&self) -> Option<RetryReason> {
        self.refused.or_else(|| self.account.refused().then_some(RetryReason::MemoryLimit))
    }

    /// Forgets a refusal: another message begins in the same instance.
    pub(crate) fn begin(&mut self) {
        self.refused = None;
        self.account.begin();
    }

    /// The most that it had at a time, in bytes.
    pub(crate) fn peak(&self) -> usize {
        self.account.peak()
    }

    /// Whether so little is left to it that another message might not fit: a quarter.
    pub(crate) fn is_nearly_full(&self, limits: &Limits) -> bool {
        self.account.used() > limits.memory - limits.memory / 4
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let allowed = self.account.take(desired.saturating_sub(current));
        if !allowed {
            self.refused = Some(RetryReason::MemoryLimit);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The engine's pool passes its own maximum, which is this limit, for a table that declares
        // none.
        let own = maximum.filter(|maximum| *maximum < self.table_elements);
        if own.is_none() && desired > self.table_elements {
            self.refused = Some(RetryReason::TableLimit);
        }
        Ok(desired <= own.unwrap_or(self.table_elements))
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wasmtime::ResourceLimiter;

    use super::{Limits, Meter};
    use crate::account::Account;
    use longshore_handler::RetryReason;

    fn meter() -> Meter {
        Meter::new(&Arc::new(Account::new(100)), &limits())
    }

    fn limits() -> Limits {
        Limits { memory: 100, table_elements: 10, ..Limits::default() }
    }

    #[test]
    fn what_the_host_keeps_counts_as_the_guest_s_memory() {
        let account = Arc::new(Account::new(100));
        let mut meter = Meter::new(&account, &limits());
        assert!(account.take(50));
        assert!(!meter.memory_growing(0, 60, None).unwrap());
        assert_eq!(meter.refused(), Some(RetryReason::MemoryLimit));
        meter.begin();
        assert!(!account.take(51) && meter.refused() == Some(RetryReason::MemoryLimit));
    }

    #[test]
    fn an_instance_is_nearly_full_when_a_quarter_is_left() {
        let mut meter = meter();
        assert!(meter.memory_growing(0, 75, None).unwrap() && !meter.is_nearly_full(&limits()));
        assert!(meter.memory_growing(75, 76, None).unwrap() && meter.is_nearly_full(&limits()));
    }

    #[test]
    fn all_memories_count_together_and_a_refusal_is_remembered() {
        let mut meter = meter();
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 30, None).unwrap());
        assert!(meter.memory_growing(60, 70, None).unwrap());
        assert_eq!((meter.refused(), meter.peak()), (None, 100));
        assert!(!meter.memory_growing(30, 31, None).unwrap());
        assert_eq!((meter.refused(), meter.peak()), (Some(RetryReason::MemoryLimit), 100));
        meter.begin();
        assert_eq!((meter.refused(), meter.peak()), (None, 100));
    }

    #[test]
    fn the_defaults_are_those_that_handlers_rely_on() {
        let limits = Limits::default();
        let expected = Limits {
            memory: 134_217_728,
            table_elements: 20_000,
            stack: 524_288,
            per_call: 1_048_576,
            handles: 1000,
            http_calls: 50,
            http_bytes: 10_485_760,
            log: 65_536,
            log_tail: 4096,
            outbox_messages: 100,
            outbox_bytes: 1_048_576,
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn a_component_may_have_many_modules_and_few_memories_and_tables() {
        let meter = meter();
        assert_eq!((meter.instances(), meter.memories(), meter.tables()), (100, 4, 8));
    }

    #[test]
    fn growth_up_to_a_memory_s_or_table_s_own_maximum_is_allowed() {
        let mut meter = meter();
        assert!(meter.memory_growing(0, 50, Some(50)).unwrap());
        assert!(meter.table_growing(0, 5, Some(5)).unwrap());
        assert_eq!((meter.refused(), meter.peak()), (None, 50));
    }

    #[test]
    fn growth_over_a_memory_s_or_table_s_own_maximum_is_not_our_refusal() {
        let mut meter = meter();
        assert!(!meter.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!meter.table_growing(0, 60, Some(5)).unwrap());
        assert_eq!(meter.refused(), None);
    }

    #[test]
    fn tables_have_a_limit_of_their_own() {
        let mut meter = meter();
        assert!(meter.table_growing(0, 10, None).unwrap());
        assert_eq!(meter.refused(), None);
        assert!(!meter.table_growing(10, 11, None).unwrap());
        assert_eq!(meter.refused(), Some(RetryReason::TableLimit));
        meter.begin();
        assert_eq!(meter.refused(), None);
        assert!(!meter.table_growing(10, 11, Some(10)).unwrap());
        assert_eq!(meter.refused(), Some(RetryReason::TableLimit));
    }
}
