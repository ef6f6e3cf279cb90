//! Executions: the newest, all of them, and one.

use maud::{Markup, html};

use super::frame::frame;
use super::log::log;
use super::marks::{Part, card, state_mark};
use super::timeline::timeline;
use crate::execution::{ExecutionRecord, ExecutionState};
use crate::page::board::Board;
use crate::page::snapshot::Snapshot;
use crate::page::text::{AsText, cut, date_and_time, lasted, link, number, time};

/// How many rows the main page shows.
const SHOWN: usize = 8;
/// How much of a cause a table shows, in characters.
const SHOWN_CAUSE: usize = 120;
/// The counts of a run, as they are shown.
const COUNTS: [&str; 6] = ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"];

/// The newest ones, as bars and as rows.
pub(super) fn executions(board: &Board, snapshot: &Snapshot) -> Markup {
    if !board.names.has_job() {
        let words = html! { p.quiet { "No job was named. " code { "--job" } " with a job\u{2019}s id shows its executions, and their cost." } };
        return card("executions", "Executions", &html! {}, &words);
    }
    let all: u64 = snapshot.executed.states.iter().map(|(_, count)| count).sum();
    let aside = html! { a href="/executions" { "all " (number(all)) } };
    let content = html! {
        @if snapshot.executions.is_empty() {
            p.quiet { "None was started yet." }
        } @else {
            (timeline(&snapshot.executions, snapshot.at_ms))
            (table(board, &snapshot.executions[..snapshot.executions.len().min(SHOWN)], snapshot.at_ms))
        }
    };
    card("executions", "Executions", &aside, &content)
}

/// All that are kept, a page at a time.
pub(crate) fn execution_list(
    board: &Board,
    records: &[ExecutionRecord],
    now_ms: i64,
    older: Option<u32>,
) -> Markup {
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href="/" { "Now" } }
        h1 { "Executions" }
        section.card { (table(board, records, now_ms))
            @if let Some(from) = older { p { a href=(link("/executions", &[("from", &from.to_string())])) { "Older ones" } } }
        }
    };
    frame(board, "Executions", None, &content)
}

fn table(board: &Board, records: &[ExecutionRecord], now_ms: i64) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of executions" {
            table {
                thead { tr {
                    th scope="col" { "execution" } th scope="col" { "state" } th scope="col" { "created" }
                    th.num scope="col" { "ran" } th.num scope="col" { "exit" } th.num scope="col" { "completed" }
                    th.num scope="col" { "retried" } th.num scope="col" { "poisoned" }
                    th scope="col" { "cause" }
                    @if board.rights.kill { th.action scope="col" { span.hidden-words { "actions" } } }
                } }
                tbody { @for record in records { (row(board, record, now_ms)) } }
            }
        }
    }
}

fn row(board: &Board, record: &ExecutionRecord, now_ms: i64) -> Markup {
    let count =
        |name: &str| record.summary.as_ref().map_or_else(String::new, |_| number(record.counted(name)));
    html! {
        tr id={ "row-" (record.execution) } {
            th scope="row" title=(record.execution) { a.execution-name href=(link("/execution", &[("name", &record.execution)])) { (name(&record.execution)) } }
            td { (state_mark(record.state)) }
            td { (time(record.created_ms)) }
            td.num { @if record.started_ms.is_some() { (lasted(ran(record, now_ms))) } }
            td.num { (ended_with(record)) }
            td.num { (count("completed")) }
            td.num { (count("retried")) }
            td.num { (count("poisoned")) }
            td.cause { @if let Some(cause) = &record.cause { (AsText(&cut(cause, SHOWN_CAUSE))) } }
            @if board.rights.kill { td.action { (kill(board, record)) } }
        }
    }
}

/// A name of which the beginning gives way where it is long: the end tells executions apart.
fn name(execution: &str) -> Markup {
    let (job, own) = execution.split_at(execution.rfind('-').unwrap_or(0));
    html! { span.job-of { (AsText(job)) } span { (AsText(own)) } }
}

fn ran(record: &ExecutionRecord, now_ms: i64) -> i64 {
    record.started_ms.map_or(0, |started| record.ended_ms.unwrap_or(now_ms) - started)
}

fn ended_with(record: &ExecutionRecord) -> String {
    match (record.exit_code, record.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => String::new(),
    }
}

fn kill(board: &Board, record: &ExecutionRecord) -> Markup {
    html! {
        @if board.rights.kill && record.state == ExecutionState::Running {
            form.inline method="post" action="/execution/kill" {
                input type="hidden" name="name" value=(record.execution);
                button.danger type="submit" aria-label={ "Kill " (record.execution) } { "Kill" }
            }
        }
    }
}

/// One execution with its counts, its failures and its log.
pub(crate) fn execution(board: &Board, record: &ExecutionRecord, log: &str, now_ms: i64) -> Markup {
    let live = link("/events", &[("execution", &record.execution)]);
    let is_over = record.ended_ms.is_some();
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href="/" { "Now" } " / " a href="/executions" { "Executions" } }
        h1 { (AsText(&record.execution)) }
        @for (_, part) in execution_parts(board, record, log, now_ms) { (part) }
    };
    frame(board, &record.execution, (!is_over).then_some(&*live), &content)
}

/// The parts of an execution's page that change.
pub(crate) fn execution_parts(board: &Board, record: &ExecutionRecord, text: &str, now_ms: i64) -> Vec<Part> {
    let log = html! { (log(text, None)) };
    vec![
        ("execution", overview(board, record, now_ms)),
        ("log", card("log", "Log", &html! { span.quiet { "its end, 64 KiB at most" } }, &log)),
    ]
}

fn overview(board: &Board, record: &ExecutionRecord, now_ms: i64) -> Markup {
    let content = html! {
        @if let Some(cause) = &record.cause { p.note { (AsText(cause)) } }
        dl.facts {
            div { dt { "created" } dd { (date_and_time(record.created_ms)) } }
            @if let Some(started) = record.started_ms {
                div { dt { "started" } dd { (time(started)) " after " (lasted(started - record.created_ms)) } }
                div { dt { "ran" } dd { (lasted(ran(record, now_ms))) } }
            }
            @let with = ended_with(record);
            @if !with.is_empty() { div { dt { "exit code" } dd { (with) } } }
            @if record.restarts > 0 { div { dt { "restarts" } dd { (record.restarts) } } }
            @if record.summary.is_some() {
                @for name in COUNTS { div { dt { (name.replace('_', " ")) } dd { (number(record.counted(name))) } } }
            }
        }
        @if !record.failures.is_empty() {
            h3 { "What failed in it" }
            ul.failures {
                @for failure in &record.failures {
                    li { b { (number(failure.count)) } " " (AsText(&failure.outcome)) ": " (AsText(&failure.cause)) }
                }
            }
        }
    };
    let aside = html! { (state_mark(record.state)) (kill(board, record)) };
    card("execution", "What became of it", &aside, &content)
}
