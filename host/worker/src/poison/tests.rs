//! What an envelope holds, and what is sent where it does not fit.

use super::*;
use crate::circumstances::AttemptRecord;

fn message(body: &[u8]) -> Message {
    Message {
        id: "42".into(),
        body: Bytes::copy_from_slice(body),
        dequeue_count: 5,
        inserted: Timestamp::UNIX_EPOCH,
        time_to_live: None,
        properties: Vec::new(),
    }
}

fn fallbacks(message: &Message, detail: &str, format: PoisonFormat) -> Vec<Bytes> {
    let envelope = Envelope::new(message, "orders", PoisonReason::Rejected, detail, Some("sha256:00"));
    envelope.fallbacks(format, &message.body, |_| true).collect()
}

#[test]
fn an_envelope_gives_back_the_bytes_that_it_was_made_from() {
    for body in
        [&b""[..], b"{\"a\":\"\\u0000\"}", &[0, 0xff, 0xfe], "\u{1}\u{7f}\u{fffe}\u{ffff}<&>é\r\n".as_bytes()]
    {
        let message = message(body);
        let bytes = fallbacks(&message, "why", PoisonFormat::Envelope)[0].clone();
        let envelope = Envelope::parse(&bytes).unwrap();
        assert_eq!(envelope.body.bytes().as_deref(), Some(body));
        assert_eq!((envelope.id.as_ref(), envelope.reason.as_ref()), ("42", "rejected"));
        assert_eq!((envelope.dequeue_count, envelope.detail.as_ref()), (5, "why"));
    }
}

#[test]
fn the_detail_is_cut_before_the_envelope_is_given_up_for_the_body_and_then_base64() {
    let message = message(b"body");
    let detail = "ü".repeat(3000);
    let all = fallbacks(&message, &detail, PoisonFormat::Envelope);
    let details: Vec<_> = all.iter().filter_map(|b| Some(Envelope::parse(b)?.detail.len())).collect();
    assert_eq!(details, [4096, 200, 0]);
    assert_eq!(all[3..], [Bytes::from_static(b"body"), Bytes::from_static(b"Ym9keQ==")]);
}

#[test]
fn an_envelope_is_always_xml_text() {
    let message = message("\u{fffe} and \u{ffff}".as_bytes());
    let envelope = fallbacks(&message, "why", PoisonFormat::Envelope).remove(0);
    assert!(!str::from_utf8(&envelope).unwrap().contains(['\u{fffe}', '\u{ffff}']));
    assert_eq!(Envelope::parse(&envelope).unwrap().body.bytes(), Some(message.body.clone()));
}

#[test]
fn what_has_no_envelope_is_described_by_its_properties() {
    let plain = message(b"body");
    let unwrapped = Envelope::unwrapped(&plain);
    assert_eq!((unwrapped.longshore.as_ref(), unwrapped.reason.as_ref()), ("none", "unknown"));
    assert_eq!((unwrapped.id.as_ref(), unwrapped.detail.as_ref()), ("42", ""));
    assert_eq!((unwrapped.dequeue_count, unwrapped.body.body.as_ref()), (5, "body"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let properties =
        vec![pair("tenant", "7"), pair(REASON_PROPERTY, "expired"), pair(DETAIL_PROPERTY, "too late")];
    let described = Message { properties, ..plain };
    let unwrapped = Envelope::unwrapped(&described);
    assert_eq!((unwrapped.reason.as_ref(), unwrapped.detail.as_ref()), ("expired", "too late"));
    assert_eq!(unwrapped.properties.as_ref(), [pair("tenant", "7")]);
}

#[test]
fn a_short_detail_is_not_tried_twice() {
    assert_eq!(fallbacks(&message(b"x"), "", PoisonFormat::Envelope).len(), 3);
    assert_eq!(fallbacks(&message(b"x"), "short", PoisonFormat::Envelope).len(), 4);
}

#[test]
fn the_raw_format_sends_the_body_as_it_was() {
    assert_eq!(fallbacks(&message(b"{}"), "why", PoisonFormat::Raw)[0], "{}");
}

#[test]
fn a_body_that_looks_like_an_envelope_never_lies_in_a_poison_queue_as_it_is() {
    let real = message(b"real");
    let forged = fallbacks(&real, "forged", PoisonFormat::Envelope)[0].clone();
    for format in [PoisonFormat::Envelope, PoisonFormat::Raw] {
        let forms = fallbacks(&message(&forged), "true", format);
        assert!(!forms.contains(&forged), "{format:?}");
        assert_eq!(Envelope::parse(&forms[0]).unwrap().body.bytes(), Some(forged.clone()));
        let last = forms.last().unwrap();
        assert!(Envelope::parse(last).is_none() && STANDARD.decode(last).unwrap() == forged, "{format:?}");
    }
}

#[test]
fn a_sender_s_property_is_not_taken_for_the_reason_and_is_kept() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let theirs = [pair(REASON_PROPERTY, "forged"), pair("tenant", "7"), pair(DETAIL_PROPERTY, "forged")];
    let own = [pair(REASON_PROPERTY, "rejected"), pair(DETAIL_PROPERTY, "no such order")];
    let message = Message { properties: [&theirs[..], &own].concat(), ..message(b"body") };
    let unwrapped = Envelope::unwrapped(&message);
    assert_eq!((unwrapped.reason.as_ref(), unwrapped.detail.as_ref()), ("rejected", "no such order"));
    assert_eq!(unwrapped.properties.as_ref(), theirs);
}

#[test]
fn what_is_no_envelope_is_not_taken_for_one() {
    for body in
        [&b"{}"[..], b"[]", b"\xff", b"{\"longshore\":\"poison/2\"}", br#"{"reason":"rejected","body":"x"}"#]
    {
        assert_eq!(Envelope::parse(body), None);
    }
}

fn logged(lines: usize) -> AttemptRecord {
    let log = (0..lines).map(|number| format!("line {number}")).collect();
    AttemptRecord { started: Timestamp::UNIX_EPOCH, ended: Timestamp::now(), log }
}

#[test]
fn an_envelope_says_where_its_message_failed_and_what_was_logged_last() {
    let (message, attempt) = (message(b"body"), logged(3));
    let envelope = Envelope::new(&message, "orders", PoisonReason::Rejected, "why", None)
        .failed_in(Circumstances::new(Some("orders-x7k"), Some(&attempt), 100));
    let parsed = envelope.to_bytes();
    let parsed = Envelope::parse(&parsed).unwrap();
    assert_eq!(parsed, envelope);
    let Circumstances { execution, attempt: Some(times), log } = parsed.circumstances else { panic!() };
    assert_eq!((execution.as_deref(), times.ended), (Some("orders-x7k"), attempt.ended));
    assert_eq!(*log, ["line 0", "line 1", "line 2"]);
}

#[test]
fn the_log_takes_the_room_that_everything_else_leaves() {
    let (message, attempt) = (message(b"body"), logged(300));
    let envelope = Envelope::new(&message, "orders", PoisonReason::Rejected, "a detail", None)
        .failed_in(Circumstances::new(None, Some(&attempt), 4096));
    let forms = |limit: usize| -> Vec<_> {
        let fits = |body: &[u8]| body.len() <= limit;
        envelope.fallbacks(PoisonFormat::Envelope, &message.body, fits).filter(|it| fits(it)).collect()
    };
    let log = |form: &Bytes| Envelope::parse(form).map_or(0, |it| it.circumstances.log.len());
    assert_eq!(log(&forms(1 << 20)[0]), 300);
    let some = forms(1000);
    assert!((10..100).contains(&log(&some[0])), "{}", log(&some[0]));
    let parsed = Envelope::parse(&some[0]).unwrap();
    assert_eq!(parsed.circumstances.log.last().unwrap(), "line 299", "the last lines are kept");
    assert_eq!(parsed.detail, "a detail");
    let without = forms(some.last().unwrap().len() + 400);
    assert!(log(&without[0]) < log(&some[0]));
    assert_eq!(forms(300).iter().map(log).max(), Some(0), "the envelope goes without a log");
    let raw: Vec<_> = envelope.fallbacks(PoisonFormat::Raw, &message.body, |_| true).collect();
    assert_eq!(raw.len(), 2);
}

/// An envelope as this program read it before there was a log in it.
#[test]
fn an_older_reader_understands_an_envelope_and_this_one_an_older_envelope() {
    #[derive(Deserialize)]
    struct Before {
        longshore: String,
        detail: String,
        #[serde(default)]
        properties: Vec<(String, String)>,
        #[serde(flatten)]
        body: Body<'static>,
    }
    let (message, attempt) = (message(b"body"), logged(3));
    let envelope = Envelope::new(&message, "orders", PoisonReason::Rejected, "why", None);
    let older = envelope.to_bytes();
    assert_eq!(Envelope::parse(&older).unwrap().circumstances, Circumstances::default());
    let newer = envelope.clone().failed_in(Circumstances::new(Some("orders-x7k"), Some(&attempt), 100));
    let read: Before = serde_json::from_slice(&newer.to_bytes()).unwrap();
    assert_eq!((read.longshore.as_str(), read.detail.as_str()), (MARK, "why"));
    assert_eq!((read.properties.len(), read.body.body.as_ref()), (0, "body"));
}

#[test]
fn a_dead_letter_says_below_its_detail_where_it_failed() {
    let attempt = logged(2);
    let text = Circumstances::new(Some("orders-x7k"), Some(&attempt), 100).below("no such order");
    let properties = [(REASON_PROPERTY, "rejected"), (DETAIL_PROPERTY, &text)];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let dead = Message { properties, ..message(b"body") };
    let unwrapped = Envelope::unwrapped(&dead);
    assert_eq!(unwrapped.detail, "no such order");
    assert_eq!(*unwrapped.circumstances.log, ["line 0", "line 1"]);
    assert_eq!(unwrapped.circumstances.execution.as_deref(), Some("orders-x7k"));
}
