//! What the library says on a connection, and what is said for it ahead of its time.
//!
//! The library (fe2o3-amqp 0.18) waits for an answer before it says the next thing. Each of these
//! answers is a round trip until the first message. The next thing is said at once where AMQP
//! allows it, and Microsoft's client for .NET says it at once as well
//! ([Azure/azure-amqp](https://github.com/Azure/azure-amqp), commit b8d2ac0):
//! - The protocol's header and `open` go together (section 2.4.2, *Pipelined Open*). There it is
//!   `AmqpConnection.OpenInternal`.
//! - Both links to a node that is asked are attached together
//!   (`RequestResponseAmqpLink.OpenInternal`).
//! - The first credit of a link goes with its attach (`ReceivingAmqpLink.OpenInternal`).
//!
//! What the library says later is the same, and goes out once.

use std::collections::BTreeMap;
use std::sync::Arc;

use fe2o3_amqp::types::definitions::{Handle, Role};
use fe2o3_amqp::types::performatives::{Attach, Begin, Flow};

use crate::servicebus::frame::{AMQP_FRAME, AMQP_HEADER, HEADER, code, code_of, frame, size_of};
use crate::servicebus::watched::{Ahead, Watches};

/// What the library writes, frame by frame.
pub(super) struct Said {
    watches: Arc<Watches>,
    /// How much is still to be written of the frame that is being written.
    left: usize,
    /// The sessions that were begun, by our channels.
    begun: BTreeMap<u16, Begin>,
    /// The link that was attached ahead, and the frame that did it.
    attached: Option<(String, Vec<u8>)>,
}

/// What becomes of bytes that the library wants to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// So many of them go out as they are.
    Plain(usize),
    /// So many of them are the protocol's header: they go out, and it counts as answered.
    Header(usize),
    /// So many of them go out as this.
    As(usize, Vec<u8>),
    /// The same, and a link of this name was attached with them.
    WithLink(usize, Vec<u8>, String),
    /// So many of them were said before.
    Repeated(usize),
    /// They are not what was said before.
    Contradiction,
}

impl Said {
    pub(super) fn new(watches: Arc<Watches>) -> Self {
        Self { watches, left: 0, begun: BTreeMap::new(), attached: None }
    }

    /// What becomes of these bytes. `peer` has the number of the next transfer of each session, as
    /// the service began it, by our channels.
    pub(super) fn passage(&mut self, bytes: &[u8], peer: &BTreeMap<u16, u32>) -> Passage {
        let mut at = self.left;
        // A frame is written as a whole, and the library does not pause in it.
        while let Some(frame) = bytes.get(at..).and_then(|rest| rest.get(..size_of(rest)?)) {
            if is_looked_at(frame) {
                if at > 0 {
                    return Passage::Plain(at);
                }
                if let Some(passage) = self.other_passage(frame, peer) {
                    return passage;
                }
            }
            at += frame.len();
        }
        Passage::Plain(bytes.len())
    }

    /// So many of these bytes went out as they are.
    pub(super) fn wrote(&mut self, bytes: &[u8], count: usize) {
        let mut at = self.left;
        while at < count {
            // Where frames are not known any more, nothing is said ahead: all works without it.
            at = at.saturating_add(size_of(&bytes[at..]).unwrap_or(usize::MAX));
        }
        self.left = at - count;
    }

    /// What becomes of a frame that does not go out as it is.
    fn other_passage(&mut self, whole: &[u8], peer: &BTreeMap<u16, u32>) -> Option<Passage> {
        if whole == AMQP_HEADER {
            return Some(Passage::Header(HEADER));
        }
        let (channel, performative) = said_in(whole)?;
        match code_of(performative)? {
            code::BEGIN => {
                let begin = serde_amqp::from_slice(performative).ok()?;
                self.begun.insert(channel, begin);
                None
            }
            code::ATTACH if self.attached.is_some() || self.watches.has_ahead() => {
                let attach: Attach = serde_amqp::from_slice(performative).ok()?;
                if let Some((_, before)) = self.attached.take_if(|(name, _)| *name == attach.name) {
                    let repeated = before == whole;
                    return Some(if repeated {
                        Passage::Repeated(whole.len())
                    } else {
                        Passage::Contradiction
                    });
                }
                self.with_attach(channel, &attach, whole, peer)
            }
            _ => None,
        }
    }

    /// What goes out with this attach, if anything does.
    fn with_attach(
        &mut self,
        channel: u16,
        attach: &Attach,
        whole: &[u8],
        peer: &BTreeMap<u16, u32>,
    ) -> Option<Passage> {
        match self.watches.take_ahead(&attach.name)? {
            Ahead::Credit(credit) => {
                let flow = frame(channel, &self.first_flow(channel, attach, credit, peer)?).ok()?;
                Some(Passage::As(whole.len(), [whole, &flow].concat()))
            }
            Ahead::Link(mut link) => {
                // The library numbers the links of a session one after the other.
                link.handle = Handle(attach.handle.0 + 1);
                let other = frame(channel, &*link).ok()?;
                let both = [whole, &other].concat();
                self.attached = Some((link.name.clone(), other));
                Some(Passage::WithLink(whole.len(), both, link.name))
            }
        }
    }

    /// The first credit of the first link of a session. What has been delivered before the link is
    /// attached is not known, and is not said (section 2.7.4).
    fn first_flow(
        &self,
        channel: u16,
        attach: &Attach,
        credit: u32,
        peer: &BTreeMap<u16, u32>,
    ) -> Option<Flow> {
        let begin = self.begun.get(&channel).filter(|_| attach.role == Role::Receiver)?;
        Some(Flow {
            next_incoming_id: Some(*peer.get(&channel)?),
            incoming_window: begin.incoming_window,
            next_outgoing_id: begin.next_outgoing_id,
            outgoing_window: begin.outgoing_window,
            handle: Some(attach.handle.clone()),
            delivery_count: None,
            link_credit: Some(credit),
            available: None,
            drain: false,
            echo: false,
            properties: None,
        })
    }
}

/// What a frame of AMQP says, and on which channel.
fn said_in(frame: &[u8]) -> Option<(u16, &[u8])> {
    let &[_, _, _, _, offset, AMQP_FRAME, high, low, ..] = frame else { return None };
    Some((u16::from_be_bytes([high, low]), frame.get(usize::from(offset) * 4..)?))
}

/// Whether anything can be said with a frame, or has to be known of it.
fn is_looked_at(frame: &[u8]) -> bool {
    let code = said_in(frame).and_then(|(_, performative)| code_of(performative));
    frame == AMQP_HEADER || matches!(code, Some(code::BEGIN | code::ATTACH))
}

#[cfg(test)]
mod tests;
