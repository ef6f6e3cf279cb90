//! A test kit: one attempt at one message, natively, with settings, and with an outbox that can be
//! looked into.
//!
//! ```
//! use longshore_guest::testing::Attempt;
//! use longshore_guest::{Failure, Message, config, outbox};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     order_id: String,
//!     cents: u32,
//! }
//!
//! #[derive(Serialize)]
//! struct Invoice {
//!     order_id: String,
//!     total: String,
//! }
//!
//! fn handle(order: Order, _: &Message) -> Result<(), Failure> {
//!     let currency = config::require("currency")?;
//!     let total = format!("{} {currency}", order.cents);
//!     outbox::send_json("invoices", &Invoice { order_id: order.order_id, total })
//! }
//!
//! let attempt = Attempt::new(r#"{"order_id": "o-1", "cents": 250}"#).setting("currency", "EUR");
//! let outcome = attempt.handle(handle);
//! assert_eq!(outcome.result, Ok(()));
//! assert_eq!(outcome.sent[0].outbox, "invoices");
//! assert_eq!(outcome.sent[0].text(), r#"{"order_id":"o-1","total":"250 EUR"}"#);
//!
//! // A body that does not fit is rejected, as it is in the component.
//! let outcome = Attempt::new(r#"{"order_id": "o-1", "cents": "many"}"#).handle(handle);
//! assert_eq!(outcome.result, Err(Failure::reject("cents: expected u32, got string")));
//! ```
//!
//! What the kit does not do: HTTP, the deadline, the limits, and refusing an outbox that nobody
//! granted. `longshore invoke` does all of that, with the real component.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::Deserialize;

use crate::log::Level;
use crate::{Failure, Message};

/// What one attempt is given, and what it leaves.
#[derive(Default)]
struct Stage {
    settings: HashMap<String, String>,
    sent: Vec<Sent>,
    log: Vec<Line>,
}

thread_local! {
    // Each test has a thread of its own, and a handler has no other.
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

impl Message {
    /// A message with this body, received for the first time. The other fields can be set:
    /// `Message { dequeue_count: 3, ..Message::test("…") }`.
    pub fn test(body: impl Into<Vec<u8>>) -> Self {
        Self {
            id: "test-message".to_owned(),
            queue: "orders".to_owned(),
            body: body.into(),
            dequeue_count: 1,
            // 2026-01-01T00:00:00Z.
            inserted: 1_767_225_600_000,
            deadline: 30_000,
            properties: Vec::new(),
        }
    }
}

/// One attempt at a message.
#[derive(Debug, Clone)]
pub struct Attempt {
    message: Message,
    settings: HashMap<String, String>,
}

impl Attempt {
    /// An attempt at [`Message::test`] of this body.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self::at(Message::test(body))
    }

    /// An attempt at this message.
    #[must_use]
    pub fn at(message: Message) -> Self {
        Self { message, settings: HashMap::new() }
    }

    /// Grants a setting, as `--config KEY=VALUE` does. There are no others.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Calls a handler of `export!(handle)`: parses the body first, and rejects what does not fit.
    pub fn handle<T: for<'m> Deserialize<'m>>(
        self,
        handle: impl FnOnce(T, &Message) -> Result<(), Failure>,
    ) -> Outcome {
        self.run(|message| crate::handle_json(message, handle))
    }

    /// Calls a handler of `export!(bytes: handle)`.
    pub fn handle_bytes(self, handle: impl FnOnce(&[u8], &Message) -> Result<(), Failure>) -> Outcome {
        self.run(|message| handle(&message.body, message))
    }

    fn run(self, handle: impl FnOnce(&Message) -> Result<(), Failure>) -> Outcome {
        let stage = Stage { settings: self.settings, ..Stage::default() };
        STAGE.with_borrow_mut(|it| *it = Some(stage));
        let result = handle(&self.message);
        let stage = STAGE.with_borrow_mut(Option::take).unwrap_or_default();
        let sent = if result.is_ok() { stage.sent } else { Vec::new() };
        Outcome { result, sent, log: stage.log }
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub struct Outcome {
    /// What the handler returned, or the rejection of a body that does not fit.
    pub result: Result<(), Failure>,
    /// What the host would send now. A handler that fails sends nothing.
    pub sent: Vec<Sent>,
    /// What was logged by the macros of this crate. `println!` is not among it.
    pub log: Vec<Line>,
}

/// A message for another queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The name of the outbox.
    pub outbox: String,
    /// The body.
    pub body: Vec<u8>,
    /// Names and values.
    pub properties: Vec<(String, String)>,
}

impl Sent {
    /// The body as text. Bytes that are no UTF-8 are shown as `�`.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

pub(crate) fn setting(key: &str) -> Option<String> {
    STAGE.with_borrow(|it| it.as_ref().and_then(|stage| stage.settings.get(key).cloned()))
}

pub(crate) fn keep(outbox: &str, body: &[u8], properties: Vec<(String, String)>) {
    STAGE.with_borrow_mut(|it| match it {
        Some(stage) => {
            stage.sent.push(Sent { outbox: outbox.to_owned(), body: body.to_owned(), properties });
        }
        None => eprintln!("to {outbox}: {} {properties:?}", String::from_utf8_lossy(body)),
    });
}

pub(crate) fn log(level: Level, context: &str, line: &str) {
    // `cargo test` shows it where the test fails.
    eprintln!("{level:?} {context}: {line}");
    STAGE.with_borrow_mut(|it| {
        if let Some(stage) = it {
            stage.log.push(Line { level, text: line.to_owned() });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, info, outbox};

    fn handle(number: u32, message: &Message) -> Result<(), Failure> {
        outbox::send_with("numbers", number.to_string().as_bytes(), &[("of", &message.id)]);
        info!("{} is {number}", config::require("name")?);
        if number == 0 { Err(Failure::reject("nothing")) } else { Ok(()) }
    }

    #[test]
    fn an_attempt_has_the_settings_it_was_given_and_shows_what_it_sent_and_logged() {
        let outcome = Attempt::new("7").setting("name", "seven").handle(handle);
        assert_eq!(outcome.result, Ok(()));
        let properties = vec![("of".to_owned(), "test-message".to_owned())];
        let sent = Sent { outbox: "numbers".to_owned(), body: b"7".to_vec(), properties };
        assert_eq!(outcome.sent, [sent]);
        assert_eq!(outcome.log[0].text, "seven is 7");
        assert!(matches!(outcome.log[0].level, Level::Info));
    }

    #[test]
    fn an_attempt_that_fails_sends_nothing() {
        let outcome = Attempt::new("0").setting("name", "zero").handle(handle);
        assert_eq!(outcome.result, Err(Failure::reject("nothing")));
        assert_eq!(outcome.sent, []);
    }

    #[test]
    fn a_setting_that_nobody_granted_is_a_retry_and_is_not_that_of_the_attempt_before() {
        let _ = Attempt::new("7").setting("name", "seven").handle(handle);
        let outcome = Attempt::new("7").handle(handle);
        let reason = "the setting name is missing: --config name=… grants it";
        assert_eq!(outcome.result, Err(Failure::retry(reason)));
    }

    #[test]
    fn a_body_that_does_not_fit_is_rejected_as_in_the_component() {
        let outcome = Attempt::new("\"x\"").handle(handle);
        assert_eq!(outcome.result, Err(Failure::reject("body: expected u32, got string")));
        let outcome = Attempt::new([0xff]).handle_bytes(|body, message| {
            assert_eq!((body, message.dequeue_count), (&[0xff][..], 1));
            Ok(())
        });
        assert_eq!(outcome.result, Ok(()));
    }
}
