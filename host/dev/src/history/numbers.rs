//! Numbers, as SQLite has them.

/// No count and no time comes near the end of either type.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
