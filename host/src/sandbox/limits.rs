//! What one guest may use.

use wasmtime::{ResourceLimiter, Result};

/// The guest's stack, in bytes; a deeper recursion traps.
pub(super) const STACK: usize = 512 << 10;

/// Core modules in one component: those of scripting languages link dozens.
pub(super) const CORE_INSTANCES: u32 = 100;

/// Memories in one component.
pub(super) const MEMORIES: u32 = 4;

/// Tables in one component.
pub(super) const TABLES: u32 = 8;

/// Elements in one table: interpreters need thousands for their functions.
pub(super) const TABLE_ELEMENTS: usize = 20_000;

/// Bytes that a guest may hand to the host in one call, its answer included.
pub(super) const PER_CALL: usize = 1 << 20;

/// Host resources (streams, pollables, …) that a guest may hold at a time.
pub(super) const RESOURCES: usize = 1000;

/// Counts one guest's memory. A guest that is refused more usually aborts, which looks like any other trap: that it was
/// refused is the only way to tell.
#[derive(Debug)]
pub(super) struct Limits {
    /// Bytes still to be had, over all memories.
    left: usize,
    refused: bool,
}

impl Limits {
    pub(super) fn new(memory: usize) -> Self {
        Self { left: memory, refused: false }
    }

    /// The guest asked for more memory than it may have.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let left = self.left.checked_sub(desired.saturating_sub(current));
        match left {
            Some(left) => self.left = left,
            None => self.refused = true,
        }
        Ok(left.is_some())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
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
    use wasmtime::ResourceLimiter;

    use super::Limits;

    #[test]
    fn all_memories_count_together_and_a_refusal_is_remembered() {
        let mut limits = Limits::new(100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 30, None).unwrap());
        assert!(limits.memory_growing(60, 70, None).unwrap());
        assert!(!limits.refused());
        assert!(!limits.memory_growing(30, 31, None).unwrap());
        assert!(limits.refused());
    }

    #[test]
    fn growth_over_a_memory_s_own_maximum_is_not_our_refusal() {
        let mut limits = Limits::new(100);
        assert!(!limits.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!limits.refused());
    }
}
