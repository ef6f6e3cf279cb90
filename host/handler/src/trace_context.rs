//! The trace that a message belongs to, as [W3C Trace
//! Context](https://www.w3.org/TR/trace-context/) writes it.

use std::fmt;

/// The property, header or extension attribute that names the trace, and the span in it.
pub const TRACEPARENT: &str = "traceparent";
/// What tracing systems keep beside it, for themselves.
pub const TRACESTATE: &str = "tracestate";
/// The older name of [`TRACEPARENT`] among the properties of Service Bus messages, with the same
/// value ([Distributed
/// tracing](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-end-to-end-tracing)).
pub const DIAGNOSTIC_ID: &str = "Diagnostic-Id";

/// How long a `traceparent` of version 00 is, in bytes. Later versions may only append.
const LENGTH: usize = 55;
/// The longest `tracestate` that is passed on, in bytes (section 3.3.1.5).
const LONGEST_STATE: usize = 512;
/// The flags that this version knows: sampled, and random (Trace Context 2, section 3.2.2.5).
const KNOWN_FLAGS: u8 = 0b11;

/// Which trace, and which span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceIds {
    /// The trace: sixteen bytes, never zero.
    pub trace: u128,
    /// The span: eight bytes, never zero.
    pub span: u64,
}

impl TraceIds {
    /// The trace as 32 hexadecimal digits, in ASCII.
    pub fn trace_id(self) -> [u8; 32] {
        digits(self.trace.to_be_bytes())
    }

    /// The span as 16 hexadecimal digits, in ASCII.
    pub fn span_id(self) -> [u8; 16] {
        digits(self.span.to_be_bytes())
    }
}

/// What one program tells the next about the trace that both belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Which trace, and which span of it is the parent of what comes next.
    pub ids: TraceIds,
    /// The trace flags; the lowest bit says that the trace is sampled.
    pub flags: u8,
    /// The `tracestate`; empty if there is none.
    pub state: String,
}

impl TraceContext {
    /// Reads a `traceparent` and what stands beside it. `None` if it is none, which a sender may
    /// write as well: such a trace is started anew, and never refused.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let bytes = traceparent.as_bytes();
        let known = bytes.get(..LENGTH)?;
        let version = hex(&known[..2])?;
        let is_whole = match version {
            0 => bytes.len() == LENGTH,
            0xff => false,
            _ => bytes.get(LENGTH).is_none_or(|byte| *byte == b'-'),
        };
        let is_split = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        if !is_whole || !is_split {
            return None;
        }
        let trace = u128::from(hex(&known[3..19])?) << 64 | u128::from(hex(&known[19..35])?);
        let span = hex(&known[36..52])?;
        let flags = u8::try_from(hex(&known[53..55])?).ok()? & KNOWN_FLAGS;
        if trace == 0 || span == 0 {
            return None;
        }
        // What cannot stand in a header is left out; the trace is the same without it.
        let is_state =
            |it: &&str| it.len() <= LONGEST_STATE && it.bytes().all(|it| (b' '..=b'~').contains(&it));
        let state = tracestate.filter(is_state).unwrap_or_default().to_owned();
        Some(Self { ids: TraceIds { trace, span }, flags, state })
    }

    /// The context that a message carries among its properties.
    pub fn of(properties: &[(String, String)]) -> Option<Self> {
        let named = |name| properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let state = named(TRACESTATE);
        let read = |name| Self::parse(named(name)?, state);
        read(TRACEPARENT).or_else(|| read(DIAGNOSTIC_ID))
    }

    /// The context as the value of a `traceparent`.
    pub fn traceparent(&self) -> String {
        let (trace, span) = (self.ids.trace_id(), self.ids.span_id());
        let flags: [u8; 2] = digits([self.flags]);
        let text = [b"00-", &trace[..], b"-", &span, b"-", &flags].concat();
        // It is ASCII.
        String::from_utf8(text).unwrap_or_default()
    }

    /// The context as `traceparent`, and `tracestate` if there is one.
    pub fn properties(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = (!self.state.is_empty()).then(|| (TRACESTATE, self.state.clone()));
        [(TRACEPARENT, self.traceparent())].into_iter().chain(state)
    }

    /// Has these properties name this context, and no other one.
    pub fn write(&self, properties: &mut Vec<(String, String)>) {
        properties.retain(|(name, _)| name != TRACEPARENT && name != TRACESTATE);
        properties.extend(self.properties().map(|(name, value)| (name.to_owned(), value)));
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent())
    }
}

/// The hexadecimal digits that identifiers are written in.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Bytes as hexadecimal digits, two for each. Every line of the log under a message has 48 of them,
/// and one at a time takes four times as long.
fn digits<const BYTES: usize, const DIGITS: usize>(bytes: [u8; BYTES]) -> [u8; DIGITS] {
    const { assert!(DIGITS == 2 * BYTES) };
    let mut written = [0; DIGITS];
    for (pair, byte) in written.as_chunks_mut().0.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(byte)];
    }
    written
}

/// The two digits of each byte.
static PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// A number of up to 16 lower-case hexadecimal digits. Digits of ids are random: a branch on each
/// would be mispredicted every third time.
fn hex(digits: &[u8]) -> Option<u64> {
    let (mut number, mut all) = (0, 0);
    for digit in digits {
        let value = VALUES[usize::from(*digit)];
        all |= value;
        number = number << 4 | u64::from(value);
    }
    (all < 16).then_some(number)
}

/// What each byte is worth as a digit; more than 15 if it is none.
static VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_context_is_written_as_it_was_read() {
        let context = TraceContext::parse(EXAMPLE, Some("vendor=1")).unwrap();
        assert_eq!((context.to_string().as_str(), context.state.as_str()), (EXAMPLE, "vendor=1"));
        assert_eq!(&context.ids.trace_id(), b"4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(&context.ids.span_id(), b"00f067aa0ba902b7");
        let mut properties = vec![pair(TRACEPARENT, "old"), pair("tenant", "7"), pair(TRACESTATE, "old=1")];
        context.write(&mut properties);
        let expected = [pair("tenant", "7"), pair(TRACEPARENT, EXAMPLE), pair(TRACESTATE, "vendor=1")];
        assert_eq!(properties, expected);
        assert_eq!(TraceContext::of(&properties), Some(context));
    }

    #[test]
    fn what_is_no_context_starts_none() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{f6}-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
        ] {
            assert_eq!(TraceContext::parse(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_this_one_goes() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more";
        let context = TraceContext::parse(later, None).unwrap();
        assert_eq!(context.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03");
    }

    #[test]
    fn a_state_that_no_header_takes_is_left_out() {
        for state in ["a=\n", "a=\u{e9}", &"x".repeat(513)] {
            assert_eq!(TraceContext::parse(EXAMPLE, Some(state)).unwrap().state, "");
        }
    }

    #[test]
    fn the_older_name_counts_where_the_newer_one_is_not_there_or_says_nothing() {
        let other = EXAMPLE.replace("4bf9", "5bf9");
        let both = [pair(DIAGNOSTIC_ID, &other), pair(TRACEPARENT, EXAMPLE)];
        assert_eq!(TraceContext::of(&both).unwrap().traceparent(), EXAMPLE);
        let damaged = [pair(DIAGNOSTIC_ID, &other), pair(TRACEPARENT, "none")];
        assert_eq!(TraceContext::of(&damaged).unwrap().traceparent(), other);
        assert_eq!(TraceContext::of(&both[..1]).unwrap().traceparent(), other);
        assert_eq!(TraceContext::of(&[]), None);
    }
}
