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

use crate::servicebus::watched::Watches;

/// How much of a frame is kept. What is looked for stands at its beginning; a refusal is told with a
/// text of some hundred bytes.
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
        let Some(body) = self.frame.get(usize::from(*offset) * 4..) else { return };
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
