//! Arbitrary bytes as what a connection brings: they are looked at however they come, and little of
//! them is kept.

use std::sync::Arc;

use fe2o3_amqp::types::messaging::{Accepted, DeliveryState, Released};
use fe2o3_amqp::types::performatives::{End, Performative};
use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::tests::{attach, detached, disposition, flow, frame, transfer};
use super::{Frames, MAX_FRAME};
use crate::servicebus::watched::Watches;

const FRAMES_TARGET: &str = "amqp-frames";

fn seeds() -> Vec<Vec<u8>> {
    let attached = [b"AMQP\0\x01\0\0".to_vec(), frame(1, attach("link", 4), &[])].concat();
    let all = [
        frame(1, transfer(4, 1, true), b"a part"),
        frame(1, transfer(4, 1, false), &[0x40; 40]),
        frame(1, disposition(1, Some(2), DeliveryState::Accepted(Accepted {})), &[]),
        frame(1, disposition(3, None, DeliveryState::Released(Released {})), &[]),
        frame(1, flow(4, 0), &[]),
        frame(1, detached(4), &[]),
        frame(1, Performative::End(End { error: None }), &[]),
    ];
    let each = all.iter().map(|frame| [&attached[..], frame].concat());
    each.chain([[&attached[..], &all.concat()].concat()]).collect()
}

#[test]
fn whatever_a_connection_brings_it_is_looked_at_and_left_to_the_library() {
    let target = FuzzTarget {
        name: FRAMES_TARGET,
        module: module_path!(),
        words: &[
            "AMQP",
            "\0S\u{12}",
            "\0S\u{13}",
            "\0S\u{14}",
            "\0S\u{15}",
            "\0S\u{16}",
            "\0S\u{17}",
            "link",
        ],
        seeds: seeds(),
    };
    feed(&target, |bytes| {
        let [whole, pieces] = [bytes.len().max(1), 3].map(|piece| seen(bytes, piece));
        assert_eq!(whole, pieces, "it does not matter in which pieces they come");
        whole
    });
}

/// What is seen of bytes that come in pieces of this size.
fn seen(bytes: &[u8], piece: usize) -> String {
    let watches = Arc::<Watches>::default();
    let watched = watches.expect("link");
    let outcomes = [1, 2, 3].map(|delivery| {
        watched.keep(delivery);
        watched.outcome(delivery)
    });
    let mut read = Frames::new(watches);
    for piece in bytes.chunks(piece) {
        read.read(piece);
        assert!(
            read.came.len() <= MAX_FRAME as usize + piece.len() || read.refused.is_some(),
            "{} bytes are kept",
            read.came.len()
        );
    }
    let outcomes = outcomes.map(|it| it.map(|mut it| format!("{:?}", it.try_recv())));
    let carried = watched.take(1);
    format!(
        "dry {} miscounted {} {outcomes:?} {carried:?} {:?} {:?}",
        watched.is_drained(),
        watched.is_miscounted(),
        read.passed,
        read.refused,
    )
}
