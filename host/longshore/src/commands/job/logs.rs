//! `longshore job logs`: what executions logged, from Log Analytics.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::super::print;
use super::super::stop_signals::StopSignals;
use super::open::open;
use crate::cli::{Format, JobLogsArgs};
use crate::exit::{Exit, Failure};
use longshore_azure::Azure;
use longshore_azure::logs::{JobLog, LogLine, LogPlace, LogSelection, LogsEndpoint, LogsError};

/// How far back lines are looked for, unless `--since` says so.
const SINCE: Duration = Duration::from_secs(60 * 60);
/// The same where one execution or one message is meant.
const SINCE_OF_ONE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often it is asked for lines that came. A caller may ask 200 times in 30 s.
const POLL: Duration = Duration::from_secs(5);
/// For how long what the service got is asked for again: lines become visible in another order than
/// that in which it got them, and clocks differ.
const OVERLAP: Duration = Duration::from_secs(5 * 60);
/// As many pages as a service may send that does not go round in circles: a gigabyte of lines.
const PAGES: usize = 2000;

/// How often each line was shown that may be sent again.
type Shown = HashMap<LogLine, usize>;

pub(super) async fn execute(args: &JobLogsArgs, format: Format) -> Result<Exit, Failure> {
    let mut stop = StopSignals::listen()?;
    print::wait_for_nobody(format);
    tokio::select! {
        done = show(args, format) => done,
        signal = stop.next() => match args.follow {
            true => Ok(Exit::Done),
            false => Err(Failure::other(format!("stopped by {signal}, with lines still missing"))),
        },
    }
}

async fn show(args: &JobLogsArgs, format: Format) -> Result<Exit, Failure> {
    let workspace = match &args.logs.workspace {
        Some(named) => named.clone(),
        None => open(&args.of).workspace().await?,
    };
    let endpoint =
        args.logs.logs_endpoint.clone().unwrap_or_else(|| LogsEndpoint::beside(&args.of.arm.arm_endpoint));
    let log = JobLog::new(workspace, endpoint, Azure::shared());
    let is_of_one = args.execution.is_some() || args.message.is_some();
    let since = args.since.unwrap_or(if is_of_one { SINCE_OF_ONE } else { SINCE });
    let job = args.of.job.job.name();
    let printer = Printer { job, format };
    let mut selection = LogSelection {
        job: job.to_owned(),
        execution: args.execution.clone(),
        message: args.message.clone(),
        since: Timestamp::now() - since,
        ingested_after: None,
    };
    let mut begun = Timestamp::now();
    let mut shown = Shown::new();
    let missing = printer.lines(&log, &selection, &mut shown, begun - OVERLAP).await?;
    if !args.follow {
        return match missing {
            None => Ok(Exit::Done),
            Some(cause) => Err(Failure::other(format!("the log is not complete: {cause}"))),
        };
    }
    let note = |missing: Option<String>| {
        if let Some(cause) = missing {
            print::note(&format!("some lines are missing: {cause}"));
        }
    };
    note(missing);
    while !print::is_unread() {
        sleep(POLL).await;
        selection.ingested_after = Some(begun - OVERLAP);
        let asked = Timestamp::now();
        match printer.lines(&log, &selection, &mut shown, asked - OVERLAP).await {
            Ok(missing) => {
                begun = asked;
                note(missing);
            }
            // The next poll asks for the same once more.
            Err(failure) if failure.is_passing => print::note(&failure.to_string()),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(Exit::Done)
}

/// Writes lines to standard output.
struct Printer<'a> {
    job: &'a str,
    format: Format,
}

impl Printer<'_> {
    /// Writes the lines that were selected and not shown yet, and remembers those that the service
    /// got after `horizon`. Returns why some are missing, if the service says that some are.
    async fn lines(
        &self,
        log: &JobLog,
        selection: &LogSelection,
        shown: &mut Shown,
        horizon: Timestamp,
    ) -> Result<Option<String>, LogsError> {
        let mut again = Shown::new();
        let (mut place, mut missing, mut unreadable) = (LogPlace::default(), None, 0);
        for _ in 0..PAGES {
            let page = match log.page(selection, &place).await {
                Ok(page) => page,
                Err(error) => {
                    // What was shown of this poll is not shown by the next.
                    again.into_iter().for_each(|(line, times)| {
                        let before = shown.entry(line).or_default();
                        *before = times.max(*before);
                    });
                    return Err(error);
                }
            };
            for line in &page.lines {
                // The same line may have been written twice.
                let times = again.entry(line.clone()).or_default();
                *times += 1;
                if *times > shown.get(line).copied().unwrap_or_default() {
                    self.line(line);
                    // No line is dropped, and a stop is heard meanwhile.
                    print::caught_up().await;
                }
            }
            let next = page.next(&place);
            missing = missing.or(page.partial);
            unreadable += page.unreadable;
            // A long log is not kept: what the service got so long ago is not asked for again.
            if selection.ingested_after.is_none() {
                again.retain(|line, _| line.ingested > horizon);
            }
            match next {
                Some(next) if !print::is_unread() => place = next,
                _ => break,
            }
        }
        again.retain(|line, _| line.ingested > horizon);
        *shown = again;
        Ok(missing_lines(missing, unreadable))
    }

    fn line(&self, line: &LogLine) {
        match self.format {
            Format::Json => self.json(line),
            Format::Table => print::line(&self.text(line)),
        }
    }

    fn json(&self, line: &LogLine) {
        #[derive(Serialize)]
        struct Written<'a> {
            time: Timestamp,
            replica: &'a str,
            /// A line of the host.
            #[serde(skip_serializing_if = "Option::is_none")]
            line: Option<Map<String, Value>>,
            /// Any other line.
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<&'a str>,
        }
        let object = object(&line.text);
        let text = object.is_none().then_some(line.text.as_str());
        let written = Written { time: line.time, replica: &line.replica, line: object, text };
        // It has string keys only.
        let _ = print::json(&written);
    }

    /// Time, replica, level, message, and what else a line of the host has.
    fn text(&self, line: &LogLine) -> String {
        let time = line.time.strftime("%F %H:%M:%S%.3f");
        let beginning = line.replica.get(..self.job.len()).filter(|it| it.eq_ignore_ascii_case(self.job));
        let replica = match beginning {
            Some(job) => line.replica[job.len()..].trim_start_matches('-'),
            None => &line.replica,
        };
        let Some(mut object) = object(&line.text) else {
            return format!("{time} {replica} {}", line.text.trim_end());
        };
        object.remove("timestamp");
        object.remove("target");
        let mut word = |name: &str| object.remove(name).map(|value| plain(&value)).unwrap_or_default();
        let (level, message) = (word("level"), word("message"));
        let mut text = format!("{time} {replica} {level:<5} {message}");
        for (name, value) in object {
            text += &format!(" {name}={}", plain(&value));
        }
        text
    }
}

/// Why lines are missing, and what to do about it; `None` if none are.
fn missing_lines(partial: Option<String>, unreadable: usize) -> Option<String> {
    let partial =
        partial.map(|cause| format!("{cause}; ask for a shorter time with --since, or for one execution"));
    let unreadable = match unreadable {
        0 => None,
        1 => Some("1 line has a time that cannot be read, and is not shown".to_owned()),
        _ => Some(format!("{unreadable} lines have times that cannot be read, and are not shown")),
    };
    let unreadable = unreadable.map(|cause| format!("{cause}; the workspace shows its rows in the portal"));
    let causes: Vec<_> = partial.into_iter().chain(unreadable).collect();
    (!causes.is_empty()).then(|| causes.join("; "))
}

/// A line of the host: an object with a level.
fn object(text: &str) -> Option<Map<String, Value>> {
    let object: Map<String, Value> = serde_json::from_str(text).ok()?;
    object.contains_key("level").then_some(object)
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        let time = "2026-11-26T21:53:23.123456Z".parse().unwrap();
        LogLine { time, ingested: time, replica: "orders-7x2k9p1-abcde".into(), text: text.into() }
    }

    #[test]
    fn a_line_of_the_host_is_shown_as_text_and_any_other_as_it_is() {
        let printer = Printer { job: "orders", format: Format::Table };
        let host = r#"{"timestamp":"2026-11-26T21:53:23.123456Z","level":"WARN","message":"poisoned","target":"t","ms":12,"message_id":"m-1"}"#;
        assert_eq!(
            printer.text(&line(host)),
            "2026-11-26 21:53:23.123 7x2k9p1-abcde WARN  poisoned message_id=m-1 ms=12"
        );
        for other in ["thread 'main' panicked at src/main.rs", r#"{"outcome":"completed"}"#, "[1]", ""] {
            let shown = printer.text(&line(other));
            assert_eq!(shown, format!("2026-11-26 21:53:23.123 7x2k9p1-abcde {other}"));
        }
    }
}
