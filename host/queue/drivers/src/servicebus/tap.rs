//! What the AMQP library reads from a connection, looked at on its way.
//!
//! The service answers a settlement with its outcome, and a request to drain with the state of the
//! link. The library (fe2o3-amqp 0.18) takes both and tells neither: it forgets the outcome, and
//! counts a message twice that comes after the answer to a drain. Both stand in the frames
//! themselves ([AMQP 1.0, part
//! 2](https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html)), which do
//! not change with the library.
//!
//! The library also decodes whatever a sender wrote, and recurses as deeply as that is nested: a
//! message of some kilobytes overflows its stack, and the process ends. So it gets no message. What
//! messages carry is taken out of the frames, and is kept for who receives them; the library is
//! shown a message without content. What is left of a frame is handed on if it is sound.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use fe2o3_amqp::types::definitions::Role;
use fe2o3_amqp::types::messaging::DeliveryState;
use fe2o3_amqp::types::performatives::{Attach, Detach, Disposition, End, Flow, Open, Transfer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::servicebus::sections::first_sound;
use crate::servicebus::watched::{Part, Watches};

/// The largest frame that the service may send, in bytes.
pub(super) const MAX_FRAME: u32 = 65_536;
/// How much is read at once, in bytes.
const CHUNK: usize = 16 * 1024;
/// The most deliveries that a frame may settle. The library looks for each of them.
const MAX_SETTLED: u32 = 1 << 20;
/// The sizes of a frame's header, and of the protocol's own at the beginning of a connection.
const HEADER: usize = 8;
/// The type of frames of AMQP; others are of SASL.
const AMQP_FRAME: u8 = 0;
/// What the library is shown of a message: a body of nothing.
const NO_CONTENT: &[u8] = &[0, 0x53, 0x77, 0x40];

/// The numbers of the performatives that are looked at.
mod code {
    pub(super) const OPEN: u8 = 0x10;
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
    chunk: Box<[u8]>,
    frames: Frames,
}

impl<S> fmt::Debug for Tap<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S, watches: Arc<Watches>) -> Self {
        Self { stream, chunk: vec![0; CHUNK].into(), frames: Frames::new(watches) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, chunk, frames } = self.get_mut();
        loop {
            if !frames.passed.is_empty() {
                let part = frames.passed.len().min(buf.remaining());
                buf.put_slice(&frames.passed[..part]);
                frames.passed.advance(part);
                return Poll::Ready(Ok(()));
            }
            if let Some(refused) = frames.refused {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refused)));
            }
            let mut read = ReadBuf::new(chunk);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                // The end. What came of a frame is of no use.
                return Poll::Ready(Ok(()));
            }
            frames.read(read.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The frames of a connection, put together from what was read of them.
struct Frames {
    watches: Arc<Watches>,
    /// What came, and is no whole frame yet.
    came: BytesMut,
    /// What the library may read.
    passed: BytesMut,
    /// Why nothing more is read.
    refused: Option<&'static str>,
}

impl Frames {
    fn new(watches: Arc<Watches>) -> Self {
        Self { watches, came: BytesMut::new(), passed: BytesMut::new(), refused: None }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.came.extend_from_slice(bytes);
        while self.refused.is_none()
            && let Some(header) = self.came.first_chunk::<HEADER>()
        {
            let size = match header {
                // The protocol's header.
                [b'A', b'M', b'Q', b'P', ..] => HEADER,
                [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
            };
            if !(HEADER..=MAX_FRAME as usize).contains(&size) {
                self.refused = Some("what came is no frame of AMQP, or a larger one than was agreed");
            } else if self.came.len() < size {
                return;
            } else {
                let frame = self.came.split_to(size).freeze();
                self.refused = self.pass(frame).err();
            }
        }
        if self.refused.is_some() {
            self.came.clear();
        }
    }

    /// Hands a frame on, without what it carries of a message.
    fn pass(&mut self, frame: Bytes) -> Result<(), &'static str> {
        let &[_, _, _, _, offset, kind, high, low, ..] = &frame[..] else { return Ok(()) };
        let start = usize::from(offset) * 4;
        if frame.starts_with(b"AMQP") || frame.len() == start {
            // Nothing but a sign of life.
            self.passed.extend_from_slice(&frame);
            return Ok(());
        }
        let body = frame.get(start..).filter(|_| start >= HEADER).ok_or("a frame has no beginning")?;
        let performative = first_sound(body).ok_or("a frame contradicts itself, or is too deep")?;
        let end = start + performative.len();
        let shown = if kind == AMQP_FRAME {
            self.look(u16::from_be_bytes([high, low]), performative, frame.slice(end..))?
        } else {
            &[]
        };
        let size = u32::try_from(end + shown.len()).unwrap_or(MAX_FRAME);
        self.passed.extend_from_slice(&size.to_be_bytes());
        self.passed.extend_from_slice(&frame[4..end]);
        self.passed.extend_from_slice(shown);
        Ok(())
    }

    /// Looks at a frame, and keeps what it carries. Returns what the library is shown instead. What
    /// cannot be read is the library's to refuse.
    fn look(&self, channel: u16, performative: &[u8], payload: Bytes) -> Result<&'static [u8], &'static str> {
        let code = match performative {
            [0, 0x53, code, ..] => *code,
            [0, 0x80, 0, 0, 0, 0, 0, 0, 0, code, ..] => *code,
            _ => return Ok(&[]),
        };
        match code {
            code::TRANSFER => {
                if let Ok(transfer) = serde_amqp::from_slice::<Transfer>(performative)
                    && let Some(watched) = self.watches.link(channel, transfer.handle.0)
                {
                    return match watched.transferred(&transfer, payload) {
                        Part::Last => Ok(NO_CONTENT),
                        Part::Open | Part::Dropped => Ok(&[]),
                        Part::TooLarge => Err("a message is larger than messages are"),
                    };
                }
            }
            code::OPEN => {
                if let Ok(Open { channel_max, .. }) = serde_amqp::from_slice(performative) {
                    self.watches.opened(channel_max.0);
                }
            }
            code::ATTACH => {
                if let Ok(Attach { name, handle, .. }) = serde_amqp::from_slice(performative) {
                    self.watches.attached(&name, channel, handle.0);
                }
            }
            code::DISPOSITION => {
                if let Ok(Disposition { role, first, last, settled, state, .. }) =
                    serde_amqp::from_slice(performative)
                {
                    let deliveries = first..=last.unwrap_or(first);
                    if deliveries.end().saturating_sub(first) > MAX_SETTLED {
                        return Err("a frame settles more than there is");
                    }
                    if role == Role::Sender
                        && (settled || state.as_ref().is_some_and(DeliveryState::is_terminal))
                    {
                        let watched = self.watches.on(channel);
                        watched.iter().for_each(|it| it.disposed(deliveries.clone(), state.as_ref()));
                    }
                }
            }
            code::FLOW => {
                if let Ok(Flow { handle: Some(handle), link_credit, .. }) =
                    serde_amqp::from_slice(performative)
                    && let Some(watched) = self.watches.link(channel, handle.0)
                {
                    watched.flowed(link_credit.unwrap_or_default());
                }
            }
            code::DETACH => {
                if let Ok(Detach { handle, .. }) = serde_amqp::from_slice(performative) {
                    self.watches.detached(channel, handle.0);
                }
            }
            code::END if serde_amqp::from_slice::<End>(performative).is_ok() => self.watches.ended(channel),
            _ => {}
        }
        Ok(&[])
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests;
