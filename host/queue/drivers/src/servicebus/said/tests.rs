//! What goes out of what the library writes.

use fe2o3_amqp::types::definitions::ReceiverSettleMode;
use fe2o3_amqp::types::performatives::{Attach, Begin, Flow};

use super::*;
use crate::servicebus::frame::plain_attach;

fn begin(channel: u16) -> Vec<u8> {
    let begin = Begin {
        remote_channel: None,
        next_outgoing_id: 3,
        incoming_window: 70,
        outgoing_window: 80,
        handle_max: Handle(9),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    frame(channel, &begin).unwrap()
}

fn link(name: &str, handle: u32, role: Role) -> Attach {
    Attach { rcv_settle_mode: ReceiverSettleMode::Second, ..plain_attach(name, handle, role) }
}

fn attach(channel: u16, name: &str, handle: u32, role: Role) -> Vec<u8> {
    frame(channel, &link(name, handle, role)).unwrap()
}

/// What the service has said: session 1 begins with transfer 40.
fn peer() -> BTreeMap<u16, u32> {
    BTreeMap::from([(1, 40)])
}

/// What goes out of these bytes when at most so many are written at once, and what is noted.
fn out(said: &mut Said, mut bytes: &[u8], most: usize) -> (Vec<u8>, Vec<Passage>) {
    let (mut out, mut noted) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let passage = said.passage(bytes, &peer());
        let taken = match &passage {
            Passage::Plain(count) => {
                let written = most.min(*count);
                out.extend_from_slice(&bytes[..written]);
                said.wrote(bytes, written);
                bytes = &bytes[written..];
                continue;
            }
            Passage::Header(count) => {
                out.extend_from_slice(&bytes[..*count]);
                *count
            }
            Passage::As(count, instead) | Passage::WithLink(count, instead, _) => {
                out.extend_from_slice(instead);
                *count
            }
            Passage::Repeated(count) => *count,
            Passage::Contradiction => return (out, vec![passage]),
        };
        noted.push(passage);
        bytes = &bytes[taken..];
    }
    (out, noted)
}

#[test]
fn credit_goes_out_once_with_the_attach_of_its_link_however_the_bytes_are_written() {
    let written = [
        b"AMQP\x03\x01\0\0".to_vec(),
        AMQP_HEADER.to_vec(),
        begin(0),
        begin(1),
        attach(1, "other", 0, Role::Receiver),
        attach(1, "link", 0, Role::Receiver),
        attach(1, "link", 0, Role::Receiver),
    ];
    let flow = Flow {
        next_incoming_id: Some(40),
        incoming_window: 70,
        next_outgoing_id: 3,
        outgoing_window: 80,
        handle: Some(Handle(0)),
        delivery_count: None,
        link_credit: Some(16),
        available: None,
        drain: false,
        echo: false,
        properties: None,
    };
    let flow = frame(1, &flow).unwrap();
    let expected = [written[..6].concat(), flow, written[6].clone()].concat();
    for most in [1, 3, 8, 50, 100_000] {
        for at_once in [true, false] {
            let watches = Arc::<Watches>::default();
            watches.say_with("link", Ahead::Credit(16));
            let mut said = Said::new(watches.clone());
            let pieces = if at_once { vec![written.concat()] } else { written.to_vec() };
            let sent: Vec<u8> = pieces.iter().flat_map(|piece| out(&mut said, piece, most).0).collect();
            assert_eq!(sent, expected, "{most}");
            assert!(!watches.has_ahead());
        }
    }
}

#[test]
fn without_a_session_that_is_known_or_for_a_link_that_sends_no_credit_goes_ahead() {
    for (channel, role) in [(2, Role::Receiver), (1, Role::Sender)] {
        let watches = Arc::<Watches>::default();
        watches.say_with("link", Ahead::Credit(16));
        let written = [begin(1), attach(channel, "link", 0, role)].concat();
        assert_eq!(out(&mut Said::new(watches), &written, 100_000).0, written);
    }
}

/// Both links of a node, where the second one goes ahead.
fn both(second: Attach) -> (Said, Vec<u8>) {
    let watches = Arc::<Watches>::default();
    watches.say_with("requests", Ahead::Link(Box::new(second)));
    let mut said = Said::new(watches);
    let first = [begin(1), attach(1, "requests", 6, Role::Sender)].concat();
    let (sent, noted) = out(&mut said, &first, 100_000);
    let [Passage::WithLink(.., name)] = &noted[..] else { panic!("{noted:?}") };
    assert_eq!(name, "answers");
    assert_eq!(sent[..first.len()], first);
    (said, sent[first.len()..].to_vec())
}

#[test]
fn a_link_that_goes_ahead_is_attached_with_the_first_one_and_once() {
    let (mut said, sent) = both(link("answers", 0, Role::Receiver));
    let second = attach(1, "answers", 7, Role::Receiver);
    assert_eq!(sent, second, "with the number that the library gives it");
    let later = [&second[..], &attach(1, "third", 8, Role::Receiver)].concat();
    let (sent, noted) = out(&mut said, &later, 100_000);
    assert_eq!(sent, attach(1, "third", 8, Role::Receiver));
    assert_eq!(noted, [Passage::Repeated(second.len())]);
}

#[test]
fn a_link_that_is_not_what_was_said_of_it_ends_the_connection() {
    let (mut said, _) = both(link("answers", 0, Role::Sender));
    let (_, noted) = out(&mut said, &attach(1, "answers", 7, Role::Receiver), 100_000);
    assert_eq!(noted, [Passage::Contradiction]);
}

#[test]
fn what_is_no_frame_is_written_as_it_is() {
    for most in [1, 5, 100_000] {
        let watches = Arc::<Watches>::default();
        watches.say_with("link", Ahead::Credit(16));
        let mut said = Said::new(watches);
        let written = [&b"\0\0\0\x01abcdefgh"[..], &attach(1, "link", 0, Role::Receiver)].concat();
        assert_eq!(out(&mut said, &written, most).0, written);
    }
}
