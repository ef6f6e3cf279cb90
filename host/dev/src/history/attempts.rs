//! The attempts at messages, as executions log them.

use rusqlite::{OptionalExtension, Row, params};

use super::History;
use super::numbers::signed;
use crate::attempt::MessageAttempt;

/// How many messages are remembered.
const PAST_MESSAGES: u32 = 20_000;
/// How many attempts are remembered.
const PAST_ATTEMPTS: u32 = 60_000;

/// A message that an execution has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMessage {
    /// Its id.
    pub id: String,
    /// What became of it at the last attempt.
    pub outcome: String,
    /// How many attempts were seen.
    pub attempts: u32,
    /// When the last one ended, in milliseconds since 1970-01-01 UTC.
    pub last_ms: i64,
}

impl History {
    /// Keeps attempts, and forgets the oldest ones beyond what is remembered. Two executions may
    /// tell of one message in any order: what ended last is what became of it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn put_attempts(&self, attempts: &[MessageAttempt]) -> rusqlite::Result<()> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        {
            let mut message = transaction.prepare_cached(
                "INSERT INTO message VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (id) DO UPDATE SET attempts = attempts + 1,
                     outcome = iif(?3 >= last_at, ?2, outcome), last_at = max(?3, last_at)",
            )?;
            let mut attempt = transaction
                .prepare_cached("INSERT INTO attempt VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
            for it in attempts {
                message.execute(params![it.message, it.outcome, it.at_ms])?;
                attempt.execute(params![
                    it.message,
                    it.execution,
                    it.at_ms,
                    it.dequeue_count,
                    it.outcome,
                    it.reason,
                    it.detail,
                    signed(it.took_ms),
                    it.trace,
                ])?;
            }
        }
        transaction.execute(
            "DELETE FROM attempt WHERE number <= (SELECT max(number) FROM attempt) - ?1",
            [PAST_ATTEMPTS],
        )?;
        transaction.execute(
            "DELETE FROM message WHERE last_at <
                 (SELECT last_at FROM message ORDER BY last_at DESC LIMIT 1 OFFSET ?1)",
            [PAST_MESSAGES],
        )?;
        transaction.commit()
    }

    /// How many messages had each outcome at their last attempt.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn outcomes(&self) -> rusqlite::Result<Vec<(String, u64)>> {
        let connection = self.connection();
        let query = "SELECT outcome, count(*) FROM message GROUP BY outcome ORDER BY outcome";
        let mut statement = connection.prepare_cached(query)?;
        let counts =
            statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        counts.collect()
    }

    /// Messages, the newest first: `at_most` after the first `skipped`, with this outcome if one is
    /// named.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn messages(
        &self,
        outcome: Option<&str>,
        skipped: u32,
        at_most: u32,
    ) -> rusqlite::Result<Vec<PastMessage>> {
        let connection = self.connection();
        let read = |row: &Row<'_>| {
            Ok(PastMessage {
                id: row.get(0)?,
                outcome: row.get(1)?,
                attempts: row.get(2)?,
                last_ms: row.get(3)?,
            })
        };
        let which = if outcome.is_some() { "WHERE outcome = ?3" } else { "WHERE ?3 IS NULL" };
        let mut statement = connection.prepare_cached(&format!(
            "SELECT id, outcome, attempts, last_at FROM message {which}
             ORDER BY last_at DESC LIMIT ?1 OFFSET ?2"
        ))?;
        let messages = statement.query_map(params![at_most, skipped, outcome], read)?;
        messages.collect()
    }

    /// The attempts at one message, the first one first; the newest `at_most` of them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn attempts(&self, message: &str, at_most: u32) -> rusqlite::Result<Vec<MessageAttempt>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT message, execution, at, dequeue_count, outcome, reason, detail, took, trace FROM attempt
             WHERE message = ?1 ORDER BY number DESC LIMIT ?2",
        )?;
        let attempts = statement.query_map(params![message, at_most], |row| {
            Ok(MessageAttempt {
                message: row.get(0)?,
                execution: row.get(1)?,
                at_ms: row.get(2)?,
                dequeue_count: row.get(3)?,
                outcome: row.get(4)?,
                reason: row.get(5)?,
                detail: row.get(6)?,
                took_ms: row.get::<_, i64>(7)?.unsigned_abs(),
                trace: row.get(8)?,
            })
        })?;
        let mut attempts: Vec<_> = attempts.collect::<rusqlite::Result<_>>()?;
        attempts.reverse();
        Ok(attempts)
    }

    /// Whether a message is known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn knows_message(&self, id: &str) -> rusqlite::Result<bool> {
        let query = "SELECT 1 FROM message WHERE id = ?1";
        Ok(self.connection().query_row(query, [id], |_| Ok(())).optional()?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_last_is_what_became_of_a_message_in_whatever_order_it_is_told() {
        let history = History::in_memory().unwrap();
        let attempt = |at_ms: i64, outcome: &str| MessageAttempt {
            message: "o-1".into(),
            execution: "orders-1".into(),
            at_ms,
            dequeue_count: 1,
            outcome: outcome.into(),
            reason: String::new(),
            detail: String::new(),
            took_ms: 1,
            trace: None,
        };
        history.put_attempts(&[attempt(20, "completed"), attempt(10, "retried")]).unwrap();
        assert_eq!(history.outcomes().unwrap(), [("completed".to_owned(), 1)]);
        let found = history.messages(Some("completed"), 0, 10).unwrap();
        assert_eq!((found.len(), found[0].attempts, found[0].last_ms), (1, 2, 20));
        assert_eq!(history.attempts("o-1", 10).unwrap().len(), 2);
    }

    #[test]
    fn as_many_messages_are_remembered_as_may_be() {
        let history = History::in_memory().unwrap();
        let attempt = |number: u32| MessageAttempt {
            message: format!("o-{number}"),
            execution: "orders-1".into(),
            at_ms: number.into(),
            dequeue_count: 1,
            outcome: "completed".into(),
            reason: String::new(),
            detail: String::new(),
            took_ms: 1,
            trace: None,
        };
        history.put_attempts(&(0..PAST_MESSAGES + 10).map(attempt).collect::<Vec<_>>()).unwrap();
        let kept = history.outcomes().unwrap()[0].1;
        assert!((u64::from(PAST_MESSAGES)..=u64::from(PAST_MESSAGES) + 1).contains(&kept), "{kept}");
    }
}
