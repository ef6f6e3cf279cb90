//! Frames in pieces, and what is seen and handed on of them.

use fe2o3_amqp::types::definitions::{Handle, ReceiverSettleMode};
use fe2o3_amqp::types::messaging::{Accepted, DeliveryState, Released};
use fe2o3_amqp::types::performatives::Performative;

use super::*;
use crate::servicebus::frame::plain_attach;
use crate::servicebus::watched::Watched;

pub(super) fn frame(channel: u16, performative: Performative, payload: &[u8]) -> Vec<u8> {
    let body = [&serde_amqp::to_vec(&performative).unwrap()[..], payload].concat();
    let size = u32::try_from(HEADER + body.len()).unwrap().to_be_bytes();
    [&size[..], &[2, AMQP_FRAME], &channel.to_be_bytes(), &body].concat()
}

pub(super) fn attach(name: &str, handle: u32) -> Performative {
    Performative::Attach(Attach {
        rcv_settle_mode: ReceiverSettleMode::Second,
        ..plain_attach(name, handle, Role::Sender)
    })
}

pub(super) fn transfer(handle: u32, delivery: u32, more: bool) -> Performative {
    Performative::Transfer(Transfer {
        handle: Handle(handle),
        delivery_id: Some(delivery),
        delivery_tag: Some(vec![7; 16].into()),
        message_format: Some(0),
        settled: Some(false),
        more,
        rcv_settle_mode: None,
        state: None,
        resume: false,
        aborted: false,
        batchable: false,
    })
}

pub(super) fn disposition(first: u32, last: Option<u32>, state: DeliveryState) -> Performative {
    let state = Some(state);
    Performative::Disposition(Disposition {
        role: Role::Sender,
        first,
        last,
        settled: true,
        state,
        batchable: false,
    })
}

pub(super) fn flow(handle: u32, link_credit: u32) -> Performative {
    Performative::Flow(Flow {
        next_incoming_id: Some(0),
        incoming_window: 100,
        next_outgoing_id: 0,
        outgoing_window: 100,
        handle: Some(Handle(handle)),
        delivery_count: Some(9),
        link_credit: Some(link_credit),
        available: None,
        drain: true,
        echo: false,
        properties: None,
    })
}

pub(super) fn detached(handle: u32) -> Performative {
    Performative::Detach(Detach { handle: Handle(handle), closed: true, error: None })
}

/// What is seen of these frames when they come in pieces of this size, after a link `link` was
/// attached on channel 1 as number 4.
fn watched(frames: &[Vec<u8>], piece: usize, before: impl Fn(&Watched)) -> Arc<Watched> {
    let watches = Arc::<Watches>::default();
    let watched = watches.expect("link");
    before(&watched);
    let mut read = Frames::new(watches);
    let attached =
        [b"AMQP\0\x01\0\0".to_vec(), frame(1, attach("other", 0), &[]), frame(1, attach("link", 4), &[])];
    let bytes = [&attached[..], frames].concat().concat();
    bytes.chunks(piece).for_each(|piece| read.read(piece));
    watched
}

#[test]
fn outcomes_are_seen_however_the_bytes_come_and_only_on_the_links_own_channel() {
    let frames = [
        frame(2, disposition(1, None, DeliveryState::Released(Released {})), &[]),
        frame(1, transfer(4, 1, false), &[0x40; 9000]),
        frame(1, disposition(1, Some(2), DeliveryState::Accepted(Accepted {})), &[]),
        frame(1, disposition(40, Some(90), DeliveryState::Released(Released {})), &[]),
    ];
    for piece in [1, 7, 64, 100_000] {
        let told = std::sync::Mutex::new(Vec::new());
        let watched = watched(&frames, piece, |it| {
            [1, 2, 3, 5, 77, 78].into_iter().for_each(|delivery| it.keep(delivery));
            told.lock().unwrap().extend([1, 2, 3, 77].map(|delivery| it.outcome(delivery).unwrap()));
        });
        let mut told = told.into_inner().unwrap();
        let mut outcome = |n: usize| told[n].try_recv().ok().map(Option::unwrap);
        assert!(matches!(outcome(0), Some(DeliveryState::Accepted(_))), "{piece}");
        assert!(matches!(outcome(1), Some(DeliveryState::Accepted(_))), "{piece}");
        assert!(outcome(2).is_none(), "nobody settled it");
        assert!(matches!(outcome(3), Some(DeliveryState::Released(_))), "{piece}");
        assert!(watched.outcome(5).is_some());
        assert!(watched.outcome(78).is_none(), "the service has settled it unasked: nothing would be sent");
    }
}

#[test]
fn a_settlement_that_is_answered_without_an_outcome_is_not_waited_for() {
    let Performative::Disposition(told) = disposition(1, None, DeliveryState::Accepted(Accepted {})) else {
        panic!("it is a disposition")
    };
    let told = Performative::Disposition(Disposition { state: None, ..told });
    let outcome = std::sync::Mutex::new(None);
    watched(&[frame(1, told, &[])], 9, |it| {
        it.keep(1);
        *outcome.lock().unwrap() = it.outcome(1);
    });
    assert!(matches!(outcome.into_inner().unwrap().unwrap().try_recv(), Ok(None)));
}

#[test]
fn a_delivery_that_the_library_passes_over_is_not_waited_for() {
    let Performative::Transfer(resumed) = transfer(4, 1, false) else { panic!("it is a transfer") };
    let resumed = Performative::Transfer(Transfer { resume: true, ..resumed });
    let frames =
        [frame(1, resumed, b"payload"), frame(1, transfer(4, 2, false), b"2"), frame(1, flow(4, 0), &[])];
    let watched = watched(&frames, 50, |_| {});
    assert_eq!(watched.take(2).unwrap(), "2");
    assert!(watched.is_drained());
}

#[test]
fn a_link_is_drained_when_the_service_says_so_and_all_that_came_is_taken() {
    let whole = |delivery| frame(1, transfer(4, delivery, false), b"payload");
    let frames = [frame(1, transfer(4, 1, true), b"a part"), whole(1), whole(2), frame(1, flow(9, 0), &[])];
    let watched_link = watched(&frames, 50, |_| {});
    assert!(!watched_link.is_drained() && !watched_link.is_miscounted(), "that was another link's flow");
    let watched_link = watched(&[&frames[..], &[frame(1, flow(4, 0), &[])]].concat(), 50, |_| {});
    assert!(!watched_link.is_drained() && watched_link.is_miscounted(), "two are not taken yet");
    assert_eq!(watched_link.take(1).unwrap(), "a partpayload");
    assert_eq!(watched_link.take(2).unwrap(), "payload");
    assert!(watched_link.is_drained());
    let quiet = watched(&[frame(1, flow(4, 0), &[])], 50, |_| {});
    assert!(quiet.is_drained() && !quiet.is_miscounted());
}

#[test]
fn who_waits_for_an_outcome_learns_that_the_link_has_ended() {
    let detached = detached(4);
    let ended = Performative::End(End { error: None });
    for end in [detached, ended] {
        let told = std::sync::Mutex::new(None);
        let watched = watched(&[frame(1, end, &[])], 3, |it| {
            it.keep(1);
            it.keep(2);
            *told.lock().unwrap() = it.outcome(1);
        });
        let mut told = told.into_inner().unwrap().unwrap();
        assert!(matches!(told.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Closed)));
        assert!(watched.outcome(2).is_none());
    }
}

/// What the library reads of frames that come in pieces of this size, or why it reads no more.
fn passed(frames: &[Vec<u8>], piece: usize) -> Result<Vec<u8>, Cow<'static, str>> {
    let watches = Arc::<Watches>::default();
    let _watched = watches.expect("link");
    let mut read = Frames::new(watches);
    frames.concat().chunks(piece).for_each(|piece| read.read(piece));
    read.refused.map_or(Ok(read.passed.to_vec()), Err)
}

#[test]
fn the_library_reads_all_but_what_messages_carry() {
    let attached = frame(1, attach("link", 4), &[]);
    let shown = [&attached[..], &frame(1, transfer(4, 1, true), &[])].concat();
    let shown = [shown, frame(1, transfer(4, 1, false), NO_CONTENT), vec![0, 0, 0, 8, 2, 0, 0, 0]].concat();
    for piece in [1, 5, 4096, 100_000] {
        let frames = [
            attached.clone(),
            frame(1, transfer(4, 1, true), &[0; 9000]),
            frame(1, transfer(4, 1, false), b"\0"),
            b"\0\0\0\x08\x02\0\0\0".to_vec(),
        ];
        assert_eq!(passed(&frames, piece).unwrap(), shown, "{piece}");
    }
}

#[test]
fn what_is_no_frame_or_too_deep_ends_the_connection_and_is_not_read() {
    let described = [&[0, 0, 0x10, 0, 2, AMQP_FRAME, 0, 1][..], &[0; 4088]].concat();
    let mut lists = vec![0x45];
    for _ in 0..2000 {
        let counted = u32::try_from(lists.len() + 4).unwrap().to_be_bytes();
        lists = [&[0xd0][..], &counted, &[0, 0, 0, 1], &lists].concat();
    }
    let nested = [&[0, 0x53, code::DETACH][..], &lists].concat();
    let size = u32::try_from(HEADER + nested.len()).unwrap().to_be_bytes();
    let nested = [&size[..], &[2, AMQP_FRAME, 0, 1], &nested].concat();
    let of_sasl = [&nested[..5], &[1], &nested[6..]].concat();
    let of_all = frame(1, disposition(0, Some(u32::MAX), DeliveryState::Accepted(Accepted {})), &[]);
    for garbage in [
        &described[..],
        &nested,
        &of_sasl,
        &of_all,
        b"\0\0\0\x09\x02\0\0\x01\xff",
        b"\0\0\0\x09\xff\0\0\x01\xff",
        b"\0\0\0\x01abcd",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0xff; 64],
    ] {
        for piece in [1, 5, 100_000] {
            passed(&[garbage.to_vec()], piece).unwrap_err();
        }
    }
    assert_eq!(passed(&[b"\0\0\0\x20".to_vec()], 1).unwrap(), b"");
}

#[test]
fn a_message_is_no_larger_than_messages_are() {
    let watched = Watched::default();
    let Performative::Transfer(transfer) = transfer(4, 1, true) else { panic!("it is a transfer") };
    let mebibyte = Bytes::from(vec![0; 1 << 20]);
    let came = (0..102).map(|_| watched.transferred(&transfer, mebibyte.clone()));
    assert_eq!(came.filter(|part| *part == Part::Open).count(), 101);
}
