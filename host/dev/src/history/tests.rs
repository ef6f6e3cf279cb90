use super::*;
use crate::cause::CauseCount;

fn ended(name: &str, created_ms: i64) -> ExecutionRecord {
    ExecutionRecord {
        state: ExecutionState::Failed,
        started_ms: Some(created_ms + 1),
        ended_ms: Some(created_ms + 2),
        exit_code: Some(4),
        restarts: 1,
        cause: Some("the breaker was open".into()),
        summary: Some(serde_json::json!({ "received": 3 })),
        failures: vec![CauseCount { outcome: "retried".into(), cause: "failed".into(), count: 3 }],
        ..ExecutionRecord::created(name.into(), created_ms)
    }
}

#[test]
fn what_is_kept_is_read_again_and_what_had_no_end_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/orders.dev.db");
    let (history, lost) = History::open(&path).unwrap();
    assert!(lost.is_empty());
    history.put(&ExecutionRecord::created("orders-1".into(), 1));
    let second = ended("orders-2", 2);
    history.put(&ExecutionRecord { log: "its log".into(), ..second.clone() });
    let third =
        ExecutionRecord { state: ExecutionState::Running, ..ExecutionRecord::created("orders-3".into(), 3) };
    history.put(&third);
    drop(history);

    let (history, mut lost) = History::open(&path).unwrap();
    lost.sort();
    assert_eq!(lost, ["orders-1", "orders-3"]);
    let newest = history.newest(10).unwrap();
    assert_eq!(newest[1], second);
    assert_eq!([newest[0].state, newest[2].state], [ExecutionState::Lost; 2]);
    assert_eq!(history.log("orders-2").unwrap().as_deref(), Some("its log"));
    assert_eq!(history.log("orders-9").unwrap(), None);
}

#[test]
fn one_process_at_a_time_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.dev.db");
    let held = History::open(&path).unwrap();
    let refused = History::open(&path).unwrap_err().to_string();
    assert!(refused.contains("another `longshore dev` works on this queue"), "{refused}");
    drop(held);
    History::open(&path).unwrap();
}

#[test]
fn the_oldest_executions_are_forgotten() {
    let history = History::in_memory().unwrap();
    for number in 0..i64::from(PAST_EXECUTIONS) + 3 {
        history.put(&ended(&format!("orders-{number}"), number));
    }
    let kept = history.newest(u32::MAX).unwrap();
    assert_eq!(kept.len(), PAST_EXECUTIONS as usize);
    assert_eq!(kept.last().unwrap().execution, "orders-3");
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.dev.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let theirs = std::fs::read(&path).unwrap();
    assert!(matches!(History::open(&path), Err(HistoryError::Foreign(_))));
    assert!(std::fs::read(&path).unwrap() == theirs, "not a byte of it is changed");
}

#[test]
fn a_damaged_history_is_named_and_is_new_once_it_was_moved_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.dev.db");
    std::fs::write(&path, "no database").unwrap();
    let is_said = |refused: HistoryError| {
        assert!(matches!(refused, HistoryError::Damaged { .. }), "{refused:?}");
        let said = refused.to_string();
        assert!(said.contains("orders.dev.db is damaged") && said.contains("move the file away"), "{said}");
    };
    is_said(History::open(&path).unwrap_err());
    std::fs::remove_file(&path).unwrap();
    History::open(&path).unwrap();
    // A file of ours without its table.
    Connection::open(&path).unwrap().execute_batch("DROP TABLE execution").unwrap();
    is_said(History::open(&path).unwrap_err());
    std::fs::rename(&path, directory.path().join("away")).unwrap();
    History::open(&path).unwrap();
}
