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
//! assert_eq!(outcome.name(), "completed");
//! assert_eq!(outcome.sent[0].outbox, "invoices");
//! assert_eq!(outcome.sent[0].text(), r#"{"order_id":"o-1","total":"250 EUR"}"#);
//!
//! // A body that does not fit is rejected, as it is in the component.
//! let outcome = Attempt::new(r#"{"order_id": "o-1", "cents": "many"}"#).handle(handle);
//! assert_eq!(outcome.result, Err(Failure::reject("cents: expected u32, got string")));
//! ```
//!
//! Requests of `longshore_guest::http` are answered by the test: `Attempt::answering`.
//!
//! What the kit does not do: the deadline, the limits, and refusing an outbox that nobody
//! granted. `longshore invoke` does all of that, with the real component.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
#[cfg(feature = "http")]
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "http")]
use crate::http::{Request, RequestFailed, Response};
use crate::log::Level;
use crate::session::NoSession;
use crate::{Failure, Message};

/// What one attempt is given, and what it leaves.
#[derive(Default)]
struct Stage {
    settings: HashMap<String, String>,
    sent: Vec<Sent>,
    log: Vec<Line>,
    session: Option<Option<Vec<u8>>>,
    #[cfg(feature = "http")]
    answer: Option<Answer>,
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
            inserted: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            deadline: Duration::from_secs(30),
            properties: Vec::new(),
        }
    }
}

/// What answers the requests of an attempt.
#[cfg(feature = "http")]
type Answer = Rc<dyn Fn(&Request) -> Result<Response, RequestFailed>>;

/// One attempt at a message.
#[derive(Clone)]
pub struct Attempt {
    message: Message,
    settings: HashMap<String, String>,
    session: Option<Option<Vec<u8>>>,
    #[cfg(feature = "http")]
    answer: Option<Answer>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("message", &self.message)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// An attempt at [`Message::test`] of this body.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self::at(Message::test(body))
    }

    /// An attempt at this message.
    #[must_use]
    pub fn at(message: Message) -> Self {
        Self {
            message,
            settings: HashMap::new(),
            session: None,
            #[cfg(feature = "http")]
            answer: None,
        }
    }

    /// Grants a setting, as `--config KEY=VALUE` does. There are no others.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Puts the message into a session, which has this state. Without this it belongs to none.
    #[must_use]
    pub fn session(mut self, id: &str, state: Option<&[u8]>) -> Self {
        self.message.properties.retain(|(name, _)| name != "session-id");
        self.message.properties.insert(0, ("session-id".to_owned(), id.to_owned()));
        self.session = Some(state.map(<[u8]>::to_vec));
        self
    }

    /// Answers each request that the handler sends with [`http`](crate::http). Without this they fail.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn answering(
        mut self,
        answer: impl Fn(&Request) -> Result<Response, RequestFailed> + 'static,
    ) -> Self {
        self.answer = Some(Rc::new(answer));
        self
    }

    /// Calls a handler of `export!(handle)`: parses the body first, and rejects what does not fit.
    /// The body's type may borrow from the message.
    pub fn handle<'m, T: Deserialize<'m>>(
        &'m self,
        handle: impl FnOnce(T, &'m Message) -> Result<(), Failure>,
    ) -> Outcome {
        self.run(|message| crate::handle_json(message, handle))
    }

    /// Calls a handler of `export!(bytes: handle)`.
    pub fn handle_bytes<'m>(
        &'m self,
        handle: impl FnOnce(&'m [u8], &'m Message) -> Result<(), Failure>,
    ) -> Outcome {
        self.run(|message| handle(&message.body, message))
    }

    fn run<'m>(&'m self, handle: impl FnOnce(&'m Message) -> Result<(), Failure>) -> Outcome {
        let stage = Stage {
            settings: self.settings.clone(),
            session: self.session.clone(),
            #[cfg(feature = "http")]
            answer: self.answer.clone(),
            ..Stage::default()
        };
        STAGE.with_borrow_mut(|it| *it = Some(stage));
        let result = handle(&self.message);
        let stage = STAGE.with_borrow_mut(Option::take).unwrap_or_default();
        let (sent, session) =
            if result.is_ok() { (stage.sent, stage.session) } else { (Vec::new(), self.session.clone()) };
        Outcome { result, sent, session_state: session.flatten(), log: stage.log }
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub struct Outcome {
    /// What the handler returned, or the rejection of a body that does not fit.
    pub result: Result<(), Failure>,
    /// What the host would send now. A handler that fails sends nothing.
    pub sent: Vec<Sent>,
    /// The state of the message's session now. A handler that fails leaves it as it was.
    pub session_state: Option<Vec<u8>>,
    /// What was logged by the macros of this crate. `println!` is not among it.
    pub log: Vec<Line>,
}

impl Outcome {
    /// What the host makes of it: `completed`, `retry` or `rejected`, as `longshore invoke` says it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.result {
            Ok(()) => "completed",
            Err(Failure::Retry(_)) => "retry",
            Err(Failure::Reject(_)) => "rejected",
        }
    }

    /// Why the message was not handled: what goes into the log and, in the end, into the poison
    /// queue. Empty for a message that was.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.result.as_ref().err().map_or("", Failure::reason)
    }

    /// Of a retry: the delay that was asked for.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        match &self.result {
            Err(Failure::Retry(retry)) => retry.after_ms.map(Duration::from_millis),
            _ => None,
        }
    }
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

    /// The body as JSON: a type of the test's own, or `serde_json::Value`.
    ///
    /// # Panics
    /// When the body is no JSON, or does not fit: that is the test's failure.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the message for {} is no such JSON: {error}", self.outbox))
    }
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// What it says.
    pub text: String,
    /// Where it comes from: the module of the macro, or what `log::log` was given.
    pub context: String,
}

pub(crate) fn setting(key: &str) -> Option<String> {
    STAGE.with_borrow(|it| it.as_ref().and_then(|stage| stage.settings.get(key).cloned()))
}

pub(crate) fn session_state() -> Result<Option<Vec<u8>>, NoSession> {
    STAGE.with_borrow(|it| it.as_ref().and_then(|stage| stage.session.clone())).ok_or_else(no_session)
}

pub(crate) fn set_session_state(state: Option<&[u8]>) -> Result<(), NoSession> {
    STAGE.with_borrow_mut(|it| {
        let session = it.as_mut().and_then(|stage| stage.session.as_mut()).ok_or_else(no_session)?;
        *session = state.map(<[u8]>::to_vec);
        Ok(())
    })
}

fn no_session() -> NoSession {
    NoSession::new("the message belongs to no session: the test gives it one with `Attempt::session`")
}

/// What the test answers, if it does.
#[cfg(feature = "http")]
pub(crate) fn answer(request: &Request) -> Option<Result<Response, RequestFailed>> {
    let answer = STAGE.with_borrow(|it| it.as_ref().and_then(|stage| stage.answer.clone()))?;
    Some(answer(request))
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
            stage.log.push(Line { level, text: line.to_owned(), context: context.to_owned() });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, info, outbox, session};

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
        assert_eq!(outcome.log[0].context, module_path!());
    }

    #[test]
    fn an_outcome_has_the_words_of_invoke() {
        let attempt = Attempt::new("1");
        let of = |result: Result<(), Failure>| {
            let outcome = attempt.handle(|_: u32, _| result);
            (outcome.name(), outcome.reason().to_owned(), outcome.delay())
        };
        let delay = Duration::from_millis(1_500);
        assert_eq!(of(Ok(())), ("completed", String::new(), None));
        assert_eq!(of(Err(Failure::retry("later"))), ("retry", "later".to_owned(), None));
        assert_eq!(of(Err(Failure::retry_after("later", delay))), ("retry", "later".to_owned(), Some(delay)));
        assert_eq!(of(Err(Failure::reject("never"))), ("rejected", "never".to_owned(), None));
    }

    #[test]
    fn a_body_that_borrows_from_its_message_is_tested_as_any_other() {
        #[derive(Deserialize)]
        struct Named<'a> {
            name: &'a str,
        }

        fn greet(body: Named<'_>, _: &Message) -> Result<(), Failure> {
            outbox::send("greetings", body.name.as_bytes());
            Ok(())
        }

        let attempt = Attempt::new(r#"{"name": "Ada"}"#);
        assert_eq!(attempt.handle(greet).sent[0].text(), "Ada");
        // As the macro takes it.
        let message = Message::test(r#"{"name": 7}"#);
        let reason = "name: expected a borrowed string, got integer";
        assert_eq!(crate::handle_json(&message, greet), Err(Failure::reject(reason)));
    }

    #[test]
    fn what_was_sent_is_read_as_text_and_as_json() {
        let outcome = Attempt::new("7").handle(|number: u32, _: &Message| {
            outbox::send_json_with("numbers", &[number, 8], &[("tenant", "acme")])
        });
        let sent = &outcome.sent[0];
        assert_eq!((sent.text().as_str(), sent.json::<Vec<u32>>()), ("[7,8]", vec![7, 8]));
        assert_eq!(sent.json::<serde_json::Value>(), serde_json::json!([7, 8]));
        assert_eq!(sent.properties, [("tenant".to_owned(), "acme".to_owned())]);
    }

    #[test]
    fn an_attempt_that_fails_sends_nothing() {
        let outcome = Attempt::new("0").setting("name", "zero").handle(handle);
        assert_eq!(outcome.result, Err(Failure::reject("nothing")));
        assert_eq!(outcome.sent, []);
    }

    #[test]
    fn a_handler_finds_the_state_of_its_session_and_changes_it_only_when_it_succeeds() {
        let count = |number: u32, message: &Message| {
            let seen: u32 = session::state_json()?.unwrap_or_default();
            session::set_state_json(&(seen + number))?;
            if message.property("session-id") == Some("red") {
                Ok(())
            } else {
                Err(Failure::retry("not red"))
            }
        };
        let state =
            |id: &str, state: Option<&[u8]>| Attempt::new("7").session(id, state).handle(count).session_state;
        assert_eq!(state("red", None).as_deref(), Some(&b"7"[..]));
        assert_eq!(state("red", Some(b"35")).as_deref(), Some(&b"42"[..]));
        assert_eq!(state("blue", Some(b"35")).as_deref(), Some(&b"35"[..]), "it fails");
        let words = Failure::retry("the state of the session is not what was expected");
        assert_eq!(Attempt::new("7").session("red", Some(b"x")).handle(count).result, Err(words));
        let none = Attempt::new("7").handle(count);
        assert!(none.reason().starts_with("the message belongs to no session"), "{}", none.reason());
        let clear = |_: u32, _: &Message| Ok(session::clear_state()?);
        assert_eq!(Attempt::new("7").session("red", Some(b"1")).handle(clear).session_state, None);
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
