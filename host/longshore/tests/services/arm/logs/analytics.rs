//! Log Analytics, as far as `job logs` asks it: lines in memory, from which a query takes what it
//! says. What the query means is read from its words; that they are words of the language is the
//! business of its parser.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::arm::server::{Answer, Server};

pub const WORKSPACE: &str = "63613592-b6f7-4c3d-a390-22ba13102111";

/// A line of a job, and when the service got it.
#[derive(Clone)]
pub struct Line {
    job: String,
    time: Timestamp,
    ingested: Timestamp,
    replica: String,
    text: String,
}

/// So many seconds after ten minutes ago, by this machine's clock.
pub fn at(seconds: i64) -> Timestamp {
    use std::sync::OnceLock;
    static BEGUN: OnceLock<Timestamp> = OnceLock::new();
    let begun = BEGUN.get_or_init(|| Timestamp::now() - SignedDuration::from_mins(10));
    *begun + SignedDuration::from_secs(seconds)
}

/// A line that the host did not write.
pub fn line(time: Timestamp, replica: &str, text: &str) -> Line {
    let ingested = Timestamp::now();
    Line { job: "orders".into(), time, ingested, replica: replica.into(), text: text.into() }
}

/// A line of the host about a message.
pub fn host_line(time: Timestamp, replica: &str, message_id: &str, message: &str) -> Line {
    let text = json!({
        "timestamp": time, "level": "WARN", "message": message, "message_id": message_id,
        "outcome": "poisoned", "target": "longshore_worker",
    });
    line(time, replica, &text.to_string())
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    /// How many answers to give instead, their status and body.
    instead: Option<(usize, u16, Value)>,
    /// What is beside the tables.
    beside: Value,
    queries: Vec<String>,
}

pub struct Analytics {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Analytics {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let own = state.clone();
        let server = Server::start(move |call| {
            assert_eq!(call.what, format!("POST /v1/workspaces/{WORKSPACE}/query"));
            let query = call.body["query"].as_str().unwrap();
            own.lock().unwrap().answer(query)
        });
        Self { server, state }
    }

    pub fn url(&self) -> String {
        self.server.url.clone()
    }

    pub fn write(&self, line: Line) {
        self.state.lock().unwrap().lines.push(line);
    }

    /// Writes a line of another job.
    pub fn write_of(&self, job: &str, line: Line) {
        self.write(Line { job: job.into(), ..line });
    }

    /// Gives this answer so many times.
    pub fn answers(&self, times: usize, status: u16, body: Value) {
        self.state.lock().unwrap().instead = Some((times, status, body));
    }

    /// Puts this beside the tables of each answer.
    pub fn adds(&self, beside: Value) {
        self.state.lock().unwrap().beside = beside;
    }

    pub fn asked(&self) -> usize {
        self.server.calls().len()
    }

    pub fn queries(&self) -> Vec<String> {
        self.state.lock().unwrap().queries.clone()
    }

    pub fn tokens(&self) -> Vec<String> {
        self.server.calls().into_iter().map(|call| call.token).collect()
    }
}

/// What stands between two texts of a query.
fn between<'q>(query: &'q str, before: &str, after: &str) -> Option<&'q str> {
    let (_, rest) = query.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

fn moment(query: &str, before: &str) -> Option<Timestamp> {
    between(query, &format!("{before}datetime("), ")").map(|it| it.parse().unwrap())
}

impl State {
    fn answer(&mut self, query: &str) -> Answer {
        self.queries.push(query.to_owned());
        if let Some((times, status, body)) = self.instead.as_mut().filter(|(times, ..)| *times > 0) {
            *times -= 1;
            return Answer::Say(*status, vec![("retry-after", "0".into())], body.clone());
        }
        let number = |before: &str, after: &str| -> usize {
            between(query, before, after).unwrap_or_else(|| panic!("{before}: {query}")).parse().unwrap()
        };
        let job = between(query, "JobName =~ '", "'").unwrap();
        let since = moment(query, "TimeGenerated >= ").unwrap();
        let execution = between(query, "Replica startswith '", "'");
        let begins = between(query, "startswith_cs '", "'");
        let ends = between(query, "endswith_cs '", "'");
        let ingested = moment(query, "TimeGenerated) > ");
        let from = moment(query, "| where Time >= ");
        let id =
            |text: &str| serde_json::from_str::<Value>(text).ok()?["message_id"].as_str().map(str::to_owned);
        let is_about = |id: &str| {
            begins.is_none_or(|part| id.starts_with(part)) || ends.is_some_and(|part| id.ends_with(part))
        };
        let mut found: Vec<_> = self
            .lines
            .iter()
            .filter(|it| it.job == job && it.time >= since)
            .filter(|it| execution.is_none_or(|execution| it.replica.starts_with(execution)))
            .filter(|it| begins.is_none() || id(&it.text).is_some_and(|id| is_about(&id)))
            .filter(|it| ingested.is_none_or(|after| it.ingested > after))
            .filter(|it| from.is_none_or(|from| it.time >= from))
            .cloned()
            .collect();
        found.sort_by_key(|it| (it.time, it.replica.clone(), it.text.clone()));
        let (skipped, longest) = (number("where Row > ", "\n"), number(", 0, ", ")"));
        let (most, lines) = (number("where Bytes <= ", " or"), number("| take ", "\n"));
        let mut bytes = 0;
        let rows = found.into_iter().enumerate().skip(skipped).filter_map(|(place, it)| {
            let text: String = it.text.chars().take(longest).collect();
            bytes += text.len() + 256;
            let has_room = bytes <= most || place == skipped;
            has_room.then(|| json!([tenths(it.time), tenths(it.ingested), it.replica, text]))
        });
        let rows: Vec<Value> = rows.take(lines).collect();
        let column = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        let mut answer = json!({ "tables": [{
            "name": "PrimaryResult",
            "columns": [column("Time", "datetime"), column("Ingested", "datetime"), column("Replica", "string"), column("Log", "string")],
            "rows": rows,
        }] });
        if let Value::Object(beside) = &self.beside {
            answer.as_object_mut().unwrap().extend(beside.clone());
        }
        // No answer comes at once.
        std::thread::sleep(Duration::from_millis(5));
        Answer::ok(answer)
    }
}

/// A time as the service writes it.
fn tenths(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string()
}
