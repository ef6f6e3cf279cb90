//! What the AMQP library reads from a connection, looked at on its way.
//!
//! The service answers a settlement with its outcome, and a request to drain with the state of the
//! link. The library (fe2o3-amqp 0.18) takes both and tells neither: it forgets the outcome, and
//! counts a message twice that comes after the answer to a drain. Both stand in the frames
//! themselves ([AMQP 1.0, part
//! 2](https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html)), which do
//! not change with the library.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fe2o3_amqp::types::definitions::Role;
use fe2o3_amqp::types::performatives::{Attach, Detach, Disposition, End, Flow, Transfer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::servicebus::sections::first_sound;
use crate::servicebus::watched::Watches;

/// How much of a frame is kept. What is looked for stands at its beginning; a refusal is told with
/// a text of some hundred bytes.
const KEPT: usize = 4096;
/// The sizes of a frame's header, and of the protocol's own at the beginning of a connection.
const HEADER: usize = 8;
/// The type of frames of AMQP; others are of SASL.
const AMQP_FRAME: u8 = 0;

/// The numbers of the performatives that are looked at.
mod code {
    pub(super) const ATTACH: u8 = 0x12;
    pub(super) const FLOW: u8 = 0x13;
    pub(super) const TRANSFER: u8 = 0x14;
    pub(super) const DISPOSITION: u8 = 0x15;
    pub(super) const DETACH: u8 = 0x16;
    pub(super) const END: u8 = 0x17;
}

/// A connection whose incoming frames are looked at.
pub(super) struct Tap<S> {
    stream: S,
    frames: Frames,
}

impl<S> fmt::Debug for Tap<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S, watches: Arc<Watches>) -> Self {
        Self { stream, frames: Frames { watches, frame: Vec::new(), left: 0 } }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &polled {
            this.frames.read(&buf.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The frames of a connection, put together from what was read of them.
struct Frames {
    watches: Arc<Watches>,
    /// The frame that is being read, as far as it is kept.
    frame: Vec<u8>,
    /// How much of it is still to come; 0 while its header is incomplete.
    left: usize,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let (header, rest) = bytes.split_at((HEADER - self.frame.len()).min(bytes.len()));
                self.frame.extend_from_slice(header);
                bytes = rest;
                if self.frame.len() < HEADER {
                    return;
                }
                self.left = match &self.frame[..4] {
                    // The protocol's header: all of it is read.
                    b"AMQP" => 0,
                    size => u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize,
                }
                .saturating_sub(HEADER);
            }
            let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
            let room = KEPT.saturating_sub(self.frame.len()).min(part.len());
            self.frame.extend_from_slice(&part[..room]);
            self.left -= part.len();
            bytes = rest;
            if self.left == 0 {
                self.look();
                self.frame.clear();
            }
        }
    }

    /// Looks at a frame that was read to its end. What cannot be read is the library's to refuse.
    fn look(&self) {
        let [_, _, _, _, offset, AMQP_FRAME, channel @ ..] = &self.frame[..] else { return };
        let [high, low, ..] = channel else { return };
        let channel = u16::from_be_bytes([*high, *low]);
        let body = self.frame.get(usize::from(*offset) * 4..);
        let Some(body) = body.and_then(first_sound) else { return };
        let performative = match body {
            [0, 0x53, code, ..] => *code,
            [0, 0x80, 0, 0, 0, 0, 0, 0, 0, code, ..] => *code,
            _ => return,
        };
        if performative == code::ATTACH {
            if let Ok(Attach { name, handle, .. }) = serde_amqp::from_slice(body) {
                self.watches.attached(&name, channel, handle.0);
            }
            return;
        }
        let Some(watched) = self.watches.on(channel) else { return };
        match performative {
            code::TRANSFER => {
                if let Ok(Transfer { handle, more, aborted, .. }) = serde_amqp::from_slice(body) {
                    watched.transferred(handle.0, !more && !aborted);
                }
            }
            code::DISPOSITION => {
                if let Ok(Disposition {
                    role: Role::Sender, first, last, settled, state: Some(state), ..
                }) = serde_amqp::from_slice(body)
                    && (settled || state.is_terminal())
                {
                    watched.disposed(first..=last.unwrap_or(first), &state);
                }
            }
            code::FLOW => {
                if let Ok(Flow { handle: Some(handle), link_credit, .. }) = serde_amqp::from_slice(body) {
                    watched.flowed(handle.0, link_credit.unwrap_or_default());
                }
            }
            code::DETACH
                if serde_amqp::from_slice::<Detach>(body).is_ok_and(|it| watched.is(it.handle.0)) =>
            {
                self.watches.ended(channel);
            }
            code::END if serde_amqp::from_slice::<End>(body).is_ok() => self.watches.ended(channel),
            _ => {}
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::definitions::{Handle, ReceiverSettleMode, SenderSettleMode};
    use fe2o3_amqp::types::messaging::{Accepted, DeliveryState, Released};
    use fe2o3_amqp::types::performatives::Performative;

    use super::*;
    use crate::servicebus::watched::Watched;

    pub(super) fn frame(channel: u16, performative: Performative, payload: &[u8]) -> Vec<u8> {
        let body = [&serde_amqp::to_vec(&performative).unwrap()[..], payload].concat();
        let size = u32::try_from(HEADER + body.len()).unwrap().to_be_bytes();
        [&size[..], &[2, AMQP_FRAME], &channel.to_be_bytes(), &body].concat()
    }

    pub(super) fn attach(name: &str, handle: u32) -> Performative {
        Performative::Attach(Attach {
            name: name.into(),
            handle: Handle(handle),
            role: Role::Sender,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::Second,
            source: None,
            target: None,
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: Some(0),
            max_message_size: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
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

    /// What is seen of these frames when they come in pieces of this size, after a link `link` was
    /// attached on channel 1 as number 4.
    fn watched(frames: &[Vec<u8>], piece: usize, before: impl Fn(&Watched)) -> Arc<Watched> {
        let watches = Arc::<Watches>::default();
        let watched = watches.expect("link");
        before(&watched);
        let mut read = Frames { watches, frame: Vec::new(), left: 0 };
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
                told.lock().unwrap().extend([1, 2, 3, 77].map(|delivery| it.outcome(delivery).unwrap()));
            });
            let mut told = told.into_inner().unwrap();
            let mut outcome = |n: usize| told[n].try_recv().ok();
            assert!(matches!(outcome(0), Some(DeliveryState::Accepted(_))), "{piece}");
            assert!(matches!(outcome(1), Some(DeliveryState::Accepted(_))), "{piece}");
            assert!(outcome(2).is_none(), "nobody settled it");
            assert!(matches!(outcome(3), Some(DeliveryState::Released(_))), "{piece}");
            assert!(watched.outcome(5).is_some());
        }
    }

    #[test]
    fn a_link_is_drained_when_the_service_says_so_and_all_that_came_is_taken() {
        let whole = |delivery| frame(1, transfer(4, delivery, false), b"payload");
        let frames =
            [frame(1, transfer(4, 1, true), b"a part"), whole(1), whole(2), frame(1, flow(9, 0), &[])];
        let watched_link = watched(&frames, 50, |_| {});
        assert!(!watched_link.is_drained() && !watched_link.is_miscounted(), "that was another link's flow");
        let watched_link = watched(&[&frames[..], &[frame(1, flow(4, 0), &[])]].concat(), 50, |_| {});
        assert!(!watched_link.is_drained() && watched_link.is_miscounted(), "two are not taken yet");
        watched_link.took();
        watched_link.took();
        assert!(watched_link.is_drained());
        let quiet = watched(&[frame(1, flow(4, 0), &[])], 50, |_| {});
        assert!(quiet.is_drained() && !quiet.is_miscounted());
    }

    #[test]
    fn who_waits_for_an_outcome_learns_that_the_link_has_ended() {
        let detached = Performative::Detach(Detach { handle: Handle(4), closed: true, error: None });
        let ended = Performative::End(End { error: None });
        for end in [detached, ended] {
            let told = std::sync::Mutex::new(None);
            let watched = watched(&[frame(1, end, &[])], 3, |it| *told.lock().unwrap() = it.outcome(1));
            let mut told = told.into_inner().unwrap().unwrap();
            assert_eq!(told.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Closed));
            assert!(watched.outcome(2).is_none());
        }
    }

    #[test]
    fn what_is_no_frame_is_left_to_the_library() {
        for garbage in [
            &b"\0\0\0\x09\x02\0\0\x01\xff"[..],
            b"\0\0\0\x01",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            &[0xff; 64],
        ] {
            watched(&[garbage.to_vec()], 5, |_| {});
        }
    }
}
