//! What is sent: most messages are handled, and of two thousand some fail in each way.

use crate::oracle::Expected;
use crate::orders::order;

/// How long leases, handlers and messages take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// As the flags have them.
    pub(super) visibility: &'static str,
    pub(super) deadline: &'static str,
    /// What a handler takes that outlives its first lease, in milliseconds.
    long_ms: u32,
}

impl Pace {
    pub(super) const LONG: Self = Self { visibility: "6s", deadline: "8s", long_ms: 7000 };
    pub(super) const SHORT: Self = Self { visibility: "2s", deadline: "3s", long_ms: 2400 };
}

/// The ways of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// The handler takes a moment.
    Slow,
    /// It outlives its first lease, which has to be renewed.
    Long,
    /// It fails once.
    SecondTry,
    Rejected,
    NoJson,
    Undecodable,
    /// It always asks for a retry.
    Retried,
    Trap,
    /// It never ends by itself.
    Late,
}

/// What becomes of the n-th message.
pub(super) fn way(number: u64) -> Way {
    match number % 2000 {
        3 | 1003 => Way::Rejected,
        103 | 1103 => Way::NoJson,
        203 | 1203 => Way::Undecodable,
        303 | 803 | 1303 | 1803 => Way::Retried,
        403 | 1403 => Way::Trap,
        603 | 1603 => Way::Long,
        703 => Way::Late,
        place if place % 50 == 11 => Way::SecondTry,
        place if place % 100 == 57 => Way::Slow,
        _ => Way::Plain,
    }
}

/// What has to become of it, unless its attempts are used up by kills.
pub(super) fn expected(number: u64) -> Expected {
    match way(number) {
        Way::Plain | Way::Slow | Way::Long | Way::SecondTry => Expected::Handled,
        Way::Rejected | Way::NoJson => Expected::Poison("rejected"),
        Way::Undecodable => Expected::Poison("undecodable"),
        Way::Retried | Way::Trap | Way::Late => Expected::Poison("attempts-exhausted"),
    }
}

/// The n-th message, on one line.
pub(super) fn body(number: u64, pace: Pace) -> Vec<u8> {
    let id = format!("o-{number}");
    let wish = match way(number) {
        Way::Plain => "ok",
        Way::Slow => "sleep:20",
        Way::Long => &format!("sleep:{}", pace.long_ms),
        Way::SecondTry => "retry-until:2",
        Way::Rejected => "reject",
        Way::Retried => "retry",
        Way::Trap => "trap",
        Way::Late => "sleep:3600000",
        Way::NoJson => return format!("{{\"order_id\": \"{id}\"").into_bytes(),
        Way::Undecodable => {
            return [format!("{{\"order_id\": \"{id}\", \"msg\": \"").as_bytes(), b"\xff\"}"].concat();
        }
    };
    order(&id, wish).into_bytes()
}

/// Which message a body is.
pub(super) fn number(body: &[u8]) -> Option<u64> {
    let at = body.windows(3).position(|it| it == b"\"o-")?;
    let digits = body[at + 3..].iter().take_while(|byte| byte.is_ascii_digit());
    String::from_utf8(digits.copied().collect()).ok()?.parse().ok()
}
