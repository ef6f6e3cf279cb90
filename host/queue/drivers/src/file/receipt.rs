//! The receipt of this queue: where the row is, and the random number that it has to hold.

use longshore_queue::Receipt;

/// What a pop receipt of this queue says. The row number finds the message without an index on its
/// random id, and the nonce changes at each receive and update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileReceipt {
    /// `message.seq`.
    pub(super) seq: i64,
    /// `message.receipt`.
    pub(super) nonce: i64,
}

impl FileReceipt {
    /// A new right to the message of this row, which makes the older ones stale.
    pub(super) fn new(seq: i64) -> Self {
        Self { seq, nonce: rand::random() }
    }

    /// Reads a receipt; `None` if this queue never gave it.
    pub(super) fn parse(receipt: &Receipt) -> Option<Self> {
        let (seq, nonce) = receipt.0.split_once('.')?;
        Some(Self { seq: seq.parse().ok()?, nonce: nonce.parse().ok()? })
    }

    /// Writes the receipt.
    pub(super) fn receipt(self) -> Receipt {
        Receipt(format!("{}.{}", self.seq, self.nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written_and_nothing_else_is() {
        for receipt in [FileReceipt { seq: 1, nonce: i64::MIN }, FileReceipt::new(i64::MAX)] {
            assert_eq!(FileReceipt::parse(&receipt.receipt()), Some(receipt));
        }
        for text in ["", ".", "1", "1.", ".1", "1.x", "1.2.3", "99999999999999999999.1"] {
            assert_eq!(FileReceipt::parse(&Receipt(text.into())), None, "{text}");
        }
    }
}
