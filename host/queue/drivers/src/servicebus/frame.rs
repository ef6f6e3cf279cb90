//! The frames of AMQP, as far as they are looked at on their way ([AMQP 1.0, part
//! 2](https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html)).

use fe2o3_amqp::types::definitions::{Handle, ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp::types::performatives::Attach;
use serde::Serialize;

/// The sizes of a frame's header, and of the protocol's own at the beginning of a connection.
pub(super) const HEADER: usize = 8;
/// The protocol's header, once SASL is done.
pub(super) const AMQP_HEADER: [u8; HEADER] = *b"AMQP\0\x01\0\0";
/// The type of frames of AMQP; others are of SASL.
pub(super) const AMQP_FRAME: u8 = 0;
/// Where what a frame says begins, in words of 4 bytes, if it has no longer header than it must.
const DATA_OFFSET: u8 = 2;

/// The numbers of the performatives that are looked at.
pub(super) mod code {
    pub(in crate::servicebus) const OPEN: u8 = 0x10;
    pub(in crate::servicebus) const BEGIN: u8 = 0x11;
    pub(in crate::servicebus) const ATTACH: u8 = 0x12;
    pub(in crate::servicebus) const FLOW: u8 = 0x13;
    pub(in crate::servicebus) const TRANSFER: u8 = 0x14;
    pub(in crate::servicebus) const DISPOSITION: u8 = 0x15;
    pub(in crate::servicebus) const DETACH: u8 = 0x16;
    pub(in crate::servicebus) const END: u8 = 0x17;
}

/// The number of a performative, if it has one.
pub(super) fn code_of(performative: &[u8]) -> Option<u8> {
    match performative {
        [0, 0x53, code, ..] | [0, 0x80, 0, 0, 0, 0, 0, 0, 0, code, ..] => Some(*code),
        _ => None,
    }
}

/// How long the frame is, or the protocol's header, that these bytes begin with; `None` where they
/// are too few to tell, or no frame is so short.
pub(super) fn size_of(bytes: &[u8]) -> Option<usize> {
    let size = match bytes.first_chunk::<HEADER>()? {
        [b'A', b'M', b'Q', b'P', ..] => HEADER,
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
    };
    (size >= HEADER).then_some(size)
}

/// A frame that says this on a channel.
pub(super) fn frame<T: Serialize>(channel: u16, performative: &T) -> Result<Vec<u8>, serde_amqp::Error> {
    let body = serde_amqp::to_vec(performative)?;
    let size = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX).to_be_bytes();
    Ok([&size[..], &[DATA_OFFSET, AMQP_FRAME], &channel.to_be_bytes(), &body].concat())
}

/// The attach of a link that asks for nothing. The library has no default of one.
pub(super) fn plain_attach(name: &str, handle: u32, role: Role) -> Attach {
    Attach {
        name: name.into(),
        handle: Handle(handle),
        role,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: None,
        target: None,
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: Some(0),
        max_message_size: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}
