//! The body of an answer, up to a limit.

use bytes::{Bytes, BytesMut};

use super::no_reply::TooLongBody;

/// A body that is read piece by piece, and no further than its limit.
#[derive(Debug)]
pub(super) struct BoundedBody {
    /// The first piece as it came: most answers are one.
    first: Bytes,
    /// All pieces, once there are more.
    all: BytesMut,
    max: usize,
}

impl BoundedBody {
    /// An empty body that takes up to `max` bytes, of which `declared` will come.
    ///
    /// # Errors
    /// That is too many.
    pub(super) fn new(max: usize, declared: u64) -> Result<Self, TooLongBody> {
        if usize::try_from(declared).is_ok_and(|declared| declared <= max) {
            Ok(Self { first: Bytes::new(), all: BytesMut::new(), max })
        } else {
            Err(TooLongBody { max })
        }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// The body is longer than its limit.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), TooLongBody> {
        let read = self.first.len().max(self.all.len()).saturating_add(piece.len());
        if read > self.max {
            return Err(TooLongBody { max: self.max });
        }
        if self.first.is_empty() {
            self.first = piece;
            return Ok(());
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&piece);
        Ok(())
    }

    /// What was read.
    pub(super) fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_up_to_its_limit_and_no_further() {
        for (length, pieces, is_read) in [(10, 6, true), (10, 7, false), (60, 1, true), (61, 1, false)] {
            let mut body = BoundedBody::new(60, 0).unwrap();
            let piece = Bytes::from(vec![b'x'; length]);
            let read = (0..pieces).try_for_each(|_| body.push(piece.clone()));
            assert_eq!(read.is_ok(), is_read, "{length} {pieces}");
            match read {
                Ok(()) => assert_eq!(body.into_bytes(), vec![b'x'; length * pieces]),
                Err(TooLongBody { max }) => assert_eq!(max, 60),
            }
        }
        assert!(BoundedBody::new(60, 60).is_ok() && BoundedBody::new(60, 61).is_err());
    }
}
