//! What may be in no log: tokens, signatures, pop receipts, bodies. Every run of the binary is
//! looked through, and so is what the library itself logs in this process, at the default level.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use longshore_testkit::identity::HEADER;

/// Stands in bodies of these tests, and must not stand in any log.
pub const BODY: &str = "body-of-a-customer";

/// How secrets begin or what they are called: a signature, a receipt in a URL, a token in a header,
/// the beginning of a token, and that of the real service's receipts.
const SECRETS: [&str; 7] = ["sig=", "popreceipt", "Bearer", "eyJ", "AgAAAAMAAAAA", BODY, HEADER];

/// Looks through a log, for these as well.
pub fn check(log: &str, tokens: &[String]) {
    for secret in SECRETS.into_iter().chain(tokens.iter().map(String::as_str)) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "`{secret}` is in a log");
    }
    assert_eq!(log.lines().find(|line| shows_a_receipt(line)), None, "a receipt is in a log");
}

/// Whether one of Azurite's pop receipts is in it: base64 of the date and time,
/// `22Nov202620:00:00`, and some digits.
fn shows_a_receipt(line: &str) -> bool {
    let mut words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
    words.any(|word| {
        let decoded = STANDARD.decode(word).unwrap_or_default();
        decoded.len() > 16 && decoded[2..5].is_ascii() && decoded[11] == b':' && decoded[14] == b':'
    })
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Starts to take down what this process logs. It is looked through when the value is dropped, at
/// the end of a test.
pub fn listen() -> Listening {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = longshore::telemetry::filter("info").unwrap();
        tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(|| Sink).init();
    });
    Listening
}

struct Sink;

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub struct Listening;

impl Drop for Listening {
    /// Whichever test ends next looks through the lines of all that run beside it.
    fn drop(&mut self) {
        let log = std::mem::take(&mut *LOG.lock().unwrap_or_else(PoisonError::into_inner));
        if !std::thread::panicking() {
            check(&String::from_utf8(log).unwrap(), &[]);
        }
    }
}

#[test]
fn a_receipt_is_known_when_it_is_seen() {
    let receipt = STANDARD.encode("22Nov202620:00:001234");
    assert!(shows_a_receipt(&format!("{{\"error\":\"popreceipt {receipt}\"}}")));
    assert!(!shows_a_receipt(
        "{\"message_id\":\"01a204d0-21f3-7157-b43c-e5df891e89fe\",\"milliseconds\":12}"
    ));
}
