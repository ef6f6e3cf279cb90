//! What the library does not wait for: the protocol's header, and a link that was attached ahead.

use std::time::Duration;

use fe2o3_amqp::Connection;
use fe2o3_amqp::types::performatives::{ChannelMax, MaxFrameSize, Open, Performative};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::tests::{attach, detached, flow, frame};
use super::*;

/// How long a peer is waited for, whose clock stands still.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a frame or a header, and returns it.
async fn said(stream: &mut DuplexStream) -> Vec<u8> {
    let mut whole = vec![0; HEADER];
    stream.read_exact(&mut whole).await.unwrap();
    let size = size_of(&whole).unwrap();
    whole.resize(size, 0);
    stream.read_exact(&mut whole[HEADER..]).await.unwrap();
    whole
}

/// What the library makes of a peer that answers its header with these pieces; `None` if it waits
/// for ever. With the tap, the peer answers when it has heard `open` as well.
async fn opens(answer: &[&[u8]], tapped: bool) -> Option<Result<(), String>> {
    let (ours, mut peer) = duplex(1 << 16);
    let builder = Connection::builder().container_id("us");
    let watches = Arc::<Watches>::default();
    let opening = async {
        let opened = match tapped {
            true => builder.open_with_stream(Tap::new(ours, watches.clone())).await,
            false => builder.open_with_stream(ours).await,
        };
        opened.map(std::mem::forget).map_err(|error| watches.refusal().unwrap_or(error.to_string()))
    };
    let answering = async {
        assert_eq!(said(&mut peer).await, AMQP_HEADER);
        if tapped {
            assert_eq!(code_of(&said(&mut peer).await[HEADER..]), Some(code::OPEN));
        }
        for piece in answer {
            peer.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await
    };
    tokio::select! {
        opened = timeout(PATIENCE, opening) => opened.ok(),
        () = answering => None,
    }
}

fn open() -> Vec<u8> {
    let open = Open {
        container_id: "them".into(),
        hostname: None,
        max_frame_size: MaxFrameSize(MAX_FRAME),
        channel_max: ChannelMax(9),
        idle_time_out: None,
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    frame(0, Performative::Open(open), &[])
}

#[tokio::test(start_paused = true)]
async fn open_does_not_wait_for_the_services_header_and_that_comes_in_any_pieces() {
    let all = [&AMQP_HEADER[..], &open()].concat();
    for piece in [1, 3, 8, 9, all.len()] {
        let pieces: Vec<_> = all.chunks(piece).collect();
        assert_eq!(opens(&pieces, true).await, Some(Ok(())), "{piece}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_header_is_an_error_that_shows_it_to_who_did_not_wait_for_it_as_to_who_did() {
    for answer in [b"AMQP\0\x02\0\0", b"AMQP\x03\x01\0\0", b"HTTP/1.1", b"\0\0\0\x08\x02\0\0\0"] {
        opens(&[answer], false).await.unwrap().unwrap_err();
        let found = format!("Protocol header mismatch. Found {:?}", Bytes::from_static(answer));
        for pieces in [vec![&answer[..]], answer.chunks(1).collect()] {
            assert_eq!(opens(&pieces, true).await.unwrap().unwrap_err(), found);
        }
    }
}

#[test]
fn a_header_that_came_before_ours_was_said_is_its_answer_and_is_read_once() {
    let mut read = Frames::new(Arc::default());
    read.read(&AMQP_HEADER);
    read.answer_header();
    read.read(&open());
    assert_eq!(read.passed, [&AMQP_HEADER[..], &open()].concat());
    assert_eq!(read.refused, None);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_never_comes_or_half_of_it_is_waited_for() {
    for answer in [&[][..], &AMQP_HEADER[..5]] {
        assert_eq!(opens(&[answer], true).await, None);
        assert_eq!(opens(&[answer], false).await, None);
    }
}

#[test]
fn what_comes_of_a_link_that_was_attached_ahead_is_read_once_the_library_knows_it() {
    let others = [frame(1, attach("requests", 4), &[]), frame(1, flow(4, 7), &[])].concat();
    let its = [frame(1, attach("answers", 5), &[]), frame(1, flow(5, 7), &[]), frame(1, detached(5), &[])];
    let of_other_channel = frame(2, flow(5, 7), &[]);
    let its = its.concat();
    for piece in [1, 9, 100_000] {
        let mut read = Frames::new(Arc::default());
        read.hold("answers".into());
        let came = [&its[..], &others, &of_other_channel].concat();
        came.chunks(piece).for_each(|piece| read.read(piece));
        assert_eq!(read.passed, [&others[..], &of_other_channel].concat(), "{piece}");
        read.release();
        read.read(&frame(1, flow(5, 9), &[]));
        let all = [others.clone(), of_other_channel.clone(), its.clone(), frame(1, flow(5, 9), &[])];
        assert_eq!(read.passed, all.concat(), "{piece}");
    }
}

#[test]
fn a_link_that_the_library_does_not_know_yet_fills_no_memory() {
    let mut read = Frames::new(Arc::default());
    read.hold("answers".into());
    read.read(&frame(1, attach("answers", 5), &[]));
    let flows = frame(1, flow(5, 7), &[]).repeat(10_000);
    flows.chunks(CHUNK).for_each(|piece| read.read(piece));
    assert_eq!(read.refused.as_deref(), Some("more came of a link than it has answers to give"));
    assert!(read.held.is_some_and(|held| held.frames.len() <= MAX_HELD));
}
