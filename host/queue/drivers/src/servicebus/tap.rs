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

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use fe2o3_amqp::types::definitions::Role;
use fe2o3_amqp::types::messaging::DeliveryState;
use fe2o3_amqp::types::performatives::{Attach, Begin, Detach, Disposition, End, Flow, Open, Transfer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::servicebus::frame::{AMQP_FRAME, AMQP_HEADER, HEADER, code, code_of, size_of};
use crate::servicebus::said::{Passage, Said};
use crate::servicebus::sections::first_sound;
use crate::servicebus::watched::{Part, Watches};

/// The largest frame that the service may send, in bytes.
pub(super) const MAX_FRAME: u32 = 65_536;
/// How much is read at once, in bytes.
const CHUNK: usize = 16 * 1024;
/// The most deliveries that a frame may settle. The library looks for each of them.
const MAX_SETTLED: u32 = 1 << 20;
/// What may come of a link that the library does not know yet, in bytes: its attach, and a flow.
const MAX_HELD: usize = MAX_FRAME as usize;
/// What the library is shown of a message: a body of nothing.
const NO_CONTENT: &[u8] = &[0, 0x53, 0x77, 0x40];

/// A connection whose incoming frames are looked at.
pub(super) struct Tap<S> {
    stream: S,
    chunk: Box<[u8]>,
    frames: Frames,
    said: Said,
    /// What goes out before anything else of the library's.
    outgoing: BytesMut,
    /// Who waits for something to read.
    reader: Option<Waker>,
}

impl<S> fmt::Debug for Tap<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S, watches: Arc<Watches>) -> Self {
        Self {
            stream,
            chunk: vec![0; CHUNK].into(),
            said: Said::new(watches.clone()),
            frames: Frames::new(watches),
            outgoing: BytesMut::new(),
            reader: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Tap<S> {
    /// Writes what goes out before anything else.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// There is something to read that has not come now.
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, chunk, frames, reader, .. } = self.get_mut();
        loop {
            if !frames.passed.is_empty() {
                let part = frames.passed.len().min(buf.remaining());
                buf.put_slice(&frames.passed[..part]);
                frames.passed.advance(part);
                return Poll::Ready(Ok(()));
            }
            if let Some(refused) = &frames.refused {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refused.clone())));
            }
            let mut read = ReadBuf::new(chunk);
            let Poll::Ready(came) = Pin::new(&mut *stream).poll_read(cx, &mut read) else {
                if !reader.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
                    *reader = Some(cx.waker().clone());
                }
                return Poll::Pending;
            };
            came?;
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
        let tap = self.get_mut();
        ready!(tap.poll_outgoing(cx))?;
        let taken = match tap.said.passage(bytes, &tap.frames.begun) {
            Passage::Plain(count) => {
                let written = ready!(Pin::new(&mut tap.stream).poll_write(cx, &bytes[..count]))?;
                tap.said.wrote(bytes, written);
                return Poll::Ready(Ok(written));
            }
            Passage::Header(count) => {
                tap.outgoing.extend_from_slice(&bytes[..count]);
                tap.frames.answer_header();
                count
            }
            Passage::As(count, said) => {
                tap.outgoing.extend_from_slice(&said);
                count
            }
            Passage::WithLink(count, said, name) => {
                tap.outgoing.extend_from_slice(&said);
                tap.frames.hold(name);
                count
            }
            Passage::Repeated(count) => {
                tap.frames.release();
                count
            }
            Passage::Contradiction => {
                return Poll::Ready(Err(io::Error::other("a link is not what was said of it before")));
            }
        };
        tap.wake_reader();
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        ready!(tap.poll_outgoing(cx))?;
        Pin::new(&mut tap.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        ready!(tap.poll_outgoing(cx))?;
        Pin::new(&mut tap.stream).poll_shutdown(cx)
    }
}

/// The frames of a connection, put together from what was read of them.
struct Frames {
    watches: Arc<Watches>,
    /// What came, and is no whole frame yet.
    came: BytesMut,
    /// What the library may read.
    passed: BytesMut,
    /// The service's header, which the library has read before it came.
    owed: Option<[u8; HEADER]>,
    /// It came before ours was said, as some brokers send it.
    has_header: bool,
    /// The number of the first transfer of each session, as the service began it, by our channels.
    begun: BTreeMap<u16, u32>,
    /// A link that was attached ahead, of which the library knows nothing yet.
    held: Option<HeldLink>,
    /// Why nothing more is read.
    refused: Option<Cow<'static, str>>,
}

/// What comes of a link that was attached ahead.
struct HeldLink {
    name: String,
    /// The service's channel and number of it.
    at: Option<(u16, u32)>,
    frames: BytesMut,
}

impl HeldLink {
    /// Where a frame of this link is kept; `None` for other frames.
    fn of(&mut self, channel: u16, performative: &[u8]) -> Option<&mut BytesMut> {
        let handle = match code_of(performative) {
            Some(code::ATTACH) => {
                let attach: Attach = serde_amqp::from_slice(performative).ok()?;
                if attach.name == self.name {
                    self.at = Some((channel, attach.handle.0));
                }
                Some(attach.handle)
            }
            Some(code::FLOW) => serde_amqp::from_slice::<Flow>(performative).ok().and_then(|it| it.handle),
            Some(code::DETACH) => serde_amqp::from_slice::<Detach>(performative).ok().map(|it| it.handle),
            _ => None,
        };
        let is_its = handle.is_some_and(|handle| self.at == Some((channel, handle.0)));
        is_its.then_some(&mut self.frames)
    }
}

impl Frames {
    fn new(watches: Arc<Watches>) -> Self {
        Self {
            watches,
            came: BytesMut::new(),
            passed: BytesMut::new(),
            owed: None,
            has_header: false,
            begun: BTreeMap::new(),
            held: None,
            refused: None,
        }
    }

    /// Lets the library read the header that the service has to answer with: it says nothing
    /// before. What the service answers is looked at when it comes.
    fn answer_header(&mut self) {
        if self.has_header {
            return;
        }
        self.passed.extend_from_slice(&AMQP_HEADER);
        self.owed = Some(AMQP_HEADER);
    }

    /// A link of this name is attached, and the library does not know it yet.
    fn hold(&mut self, name: String) {
        self.held = Some(HeldLink { name, at: None, frames: BytesMut::new() });
    }

    /// The library knows the link now that was attached ahead.
    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.passed.extend_from_slice(&held.frames);
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.came.extend_from_slice(bytes);
        while self.refused.is_none()
            && let Some(header) = self.came.first_chunk::<HEADER>()
        {
            let size = size_of(header).unwrap_or_default();
            if let Some(owed) = self.owed.take() {
                if *header == owed {
                    self.came.advance(HEADER);
                } else {
                    let found = Bytes::copy_from_slice(header);
                    self.refused = Some(format!("Protocol header mismatch. Found {found:?}").into());
                }
            } else if !(HEADER..=MAX_FRAME as usize).contains(&size) {
                self.refused = Some("what came is no frame of AMQP, or a larger one than was agreed".into());
            } else if self.came.len() < size {
                return;
            } else {
                let frame = self.came.split_to(size).freeze();
                self.refused = self.pass(frame).err().map(Cow::Borrowed);
            }
        }
        if let Some(refused) = &self.refused {
            self.watches.refuse(refused);
            self.came.clear();
        }
    }

    /// Hands a frame on, without what it carries of a message.
    fn pass(&mut self, frame: Bytes) -> Result<(), &'static str> {
        let &[_, _, _, _, offset, kind, high, low, ..] = &frame[..] else { return Ok(()) };
        let start = usize::from(offset) * 4;
        if frame.starts_with(b"AMQP") || frame.len() == start {
            // Nothing but a sign of life.
            self.has_header |= frame == AMQP_HEADER[..];
            self.passed.extend_from_slice(&frame);
            return Ok(());
        }
        let body = frame.get(start..).filter(|_| start >= HEADER).ok_or("a frame has no beginning")?;
        let performative = first_sound(body).ok_or("a frame contradicts itself, or is too deep")?;
        let end = start + performative.len();
        let channel = u16::from_be_bytes([high, low]);
        let shown =
            if kind == AMQP_FRAME { self.look(channel, performative, frame.slice(end..))? } else { &[] };
        let size = u32::try_from(end + shown.len()).unwrap_or(MAX_FRAME);
        let held = self.held.as_mut().and_then(|held| held.of(channel, performative));
        if held.as_ref().is_some_and(|held| held.len() + size as usize > MAX_HELD) {
            return Err("more came of a link than it has answers to give");
        }
        let to = held.unwrap_or(&mut self.passed);
        to.extend_from_slice(&size.to_be_bytes());
        to.extend_from_slice(&frame[4..end]);
        to.extend_from_slice(shown);
        Ok(())
    }

    /// Looks at a frame, and keeps what it carries. Returns what the library is shown instead. What
    /// cannot be read is the library's to refuse.
    fn look(
        &mut self,
        channel: u16,
        performative: &[u8],
        payload: Bytes,
    ) -> Result<&'static [u8], &'static str> {
        let Some(code) = code_of(performative) else { return Ok(&[]) };
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
            code::BEGIN => {
                if let Ok(Begin { remote_channel: Some(ours), next_outgoing_id, .. }) =
                    serde_amqp::from_slice(performative)
                {
                    self.begun.insert(ours, next_outgoing_id);
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
mod ahead;

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests;
