//! The log, as tests see it: every event of the process, by the id of the message that it belongs
//! to.

use std::fmt;
use std::sync::{Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One event.
#[derive(Clone, Debug)]
pub struct Line {
    pub level: Level,
    pub target: String,
    /// The message.
    pub text: String,
    /// All other fields, as name and value.
    pub fields: Vec<(String, String)>,
}

impl Line {
    /// A field's value, if it is there.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

fn lines() -> &'static Mutex<Vec<Line>> {
    static LINES: OnceLock<Mutex<Vec<Line>>> = OnceLock::new();
    LINES.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Collect);
        tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one in a test binary");
        Mutex::default()
    })
}

/// Starts to collect; what was logged before is lost.
pub fn collect() {
    lines();
}

/// What was logged for a message so far.
pub fn of(message_id: &str) -> Vec<Line> {
    let lines = lines().lock().unwrap();
    lines.iter().filter(|line| line.field("message_id") == Some(message_id)).cloned().collect()
}

struct Collect;

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "guest" && !event.metadata().target().starts_with("longshore") {
            return;
        }
        let mut line = Line {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            text: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        lines().lock().unwrap().push(line);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.text = value,
            name => self.fields.push((name.to_owned(), value)),
        }
    }
}
