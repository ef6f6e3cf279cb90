//! Executions as bars on a line of time.

use maud::{Markup, html};

use crate::execution::{ExecutionRecord, ExecutionState};
use crate::page::text::{AsText, lasted, link, time};

/// The width of the picture, in its own units: it is stretched to the width that there is.
const WIDTH: f64 = 1000.0;
/// The height of one row.
const ROW: usize = 16;
/// What is left free of it.
const GAP: usize = 4;
/// How many rows there are at most. What has no room is in the table below.
const MAX_ROWS: usize = 14;
/// The shortest and the longest time that the picture shows, in milliseconds.
const SHORTEST_MS: i64 = 60_000;
const LONGEST_MS: i64 = 60 * 60_000;
/// The narrowest bar that can be seen and clicked.
const NARROWEST: f64 = 6.0;

/// A bar, where it stands.
struct Bar<'a> {
    record: &'a ExecutionRecord,
    row: usize,
}

/// The bars of these executions, of which the newest is the first.
pub(super) fn timeline(executions: &[ExecutionRecord], now_ms: i64) -> Markup {
    let Some(oldest) = executions.last() else { return html! {} };
    let from = oldest.created_ms.clamp(now_ms - LONGEST_MS, now_ms - SHORTEST_MS);
    let bars = placed(executions, from, now_ms);
    let rows = bars.iter().map(|it| it.row + 1).max().unwrap_or(1);
    let x = |at: i64| (WIDTH * (at - from) as f64 / (now_ms - from) as f64).clamp(0.0, WIDTH);
    html! {
        figure.timeline {
            svg viewBox={ "0 0 " (WIDTH) " " (rows * ROW) } height=(rows * ROW) preserveAspectRatio="none"
                role="group" aria-label="Executions on a line of time" {
                @for Bar { record, row } in &bars {
                    @let (begin, end) = span(record, now_ms);
                    @let started = record.started_ms.unwrap_or(end);
                    @let left = x(begin);
                    @let width = (x(end) - left).clamp(NARROWEST, WIDTH);
                    @let left = left.min(WIDTH - width);
                    @let waited = (x(started) - x(begin)).clamp(0.0, width);
                    a href=(link("/execution", &[("name", &record.execution)])) aria-label=(label(record, now_ms)) {
                        title { (AsText(&label(record, now_ms))) }
                        rect.bar-wait x=(left) width=(width) y=(row * ROW) height=(ROW - GAP) {}
                        rect.bar.{ "bar-" (record.state.as_str()) } x=(left + waited) width=(width - waited)
                            y=(row * ROW) height=(ROW - GAP) {}
                    }
                }
            }
            div.depth-times aria-hidden="true" { span { (time(from)) } span { (time(now_ms)) } }
        }
    }
}

/// When it was created, and when it ended, if it did.
fn span(record: &ExecutionRecord, now_ms: i64) -> (i64, i64) {
    let is_over = !matches!(record.state, ExecutionState::Pending | ExecutionState::Running);
    let end =
        if is_over { record.ended_ms.or(record.started_ms).unwrap_or(record.created_ms) } else { now_ms };
    (record.created_ms, end)
}

fn label(record: &ExecutionRecord, now_ms: i64) -> String {
    let (begin, end) = span(record, now_ms);
    format!("{} {}, {}", record.execution, record.state.as_str(), lasted(end - begin))
}

/// Each bar in the first row that is free when it begins. What begins first is placed first.
fn placed(executions: &[ExecutionRecord], from: i64, now_ms: i64) -> Vec<Bar<'_>> {
    // As much time as the narrowest bar takes.
    let narrowest = ((now_ms - from) as f64 * NARROWEST / WIDTH) as i64;
    let mut free_at: Vec<i64> = Vec::new();
    let mut bars = Vec::new();
    for record in executions.iter().rev() {
        let (begin, end) = span(record, now_ms);
        if end < from {
            continue;
        }
        let row = free_at.iter().position(|free| *free < begin);
        let row = match row {
            Some(row) => row,
            None if free_at.len() < MAX_ROWS => {
                free_at.push(0);
                free_at.len() - 1
            }
            None => continue,
        };
        free_at[row] = end.max(begin + narrowest);
        bars.push(Bar { record, row });
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: &str, created_ms: i64, ended_ms: i64) -> ExecutionRecord {
        ExecutionRecord {
            state: ExecutionState::Succeeded,
            started_ms: Some(created_ms + 10),
            ended_ms: Some(ended_ms),
            ..ExecutionRecord::created(name.into(), created_ms)
        }
    }

    #[test]
    fn executions_that_overlap_stand_in_rows_of_their_own() {
        let now = 1_000_000;
        let newest_first =
            [ran("c", 995_000, 999_000), ran("b", 970_000, 990_000), ran("a", 960_000, 980_000)];
        let rows: Vec<_> = placed(&newest_first, now - SHORTEST_MS, now)
            .iter()
            .map(|it| (it.record.execution.clone(), it.row))
            .collect();
        assert_eq!(rows, [("a".into(), 0), ("b".into(), 1), ("c".into(), 0)]);
        let shown = timeline(&newest_first, now).into_string();
        assert!(
            shown.contains("href=\"/execution?name=a\"") && shown.contains("c succeeded, 4.0 s"),
            "{shown}"
        );
    }

    #[test]
    fn more_executions_than_rows_are_no_error() {
        let many: Vec<_> = (0..100).rev().map(|n| ran(&format!("e{n}"), 990_000 + n, 999_999)).collect();
        assert_eq!(placed(&many, 940_000, 1_000_000).len(), MAX_ROWS);
        assert_eq!(timeline(&[], 1).into_string(), "");
    }
}
