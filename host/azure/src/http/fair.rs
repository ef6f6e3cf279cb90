//! A wire that leaves the other tasks their turn.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often a wire is read without a pause. One read is of 400 KiB at most.
const MAX_READS_IN_A_ROW: u32 = 16;

/// A wire that pauses for a moment now and then while there is always more to read.
///
/// tokio's own budget of a task does not hold where connections are driven, and hyper reads for as
/// long as it makes nothing of what it reads: `100 Continue` without end. No time limit would end
/// that.
pub(super) struct Fair<W> {
    wire: W,
    reads_in_a_row: u32,
}

impl<W> Fair<W> {
    pub(super) fn new(wire: W) -> Self {
        Self { wire, reads_in_a_row: 0 }
    }
}

impl<W: AsyncRead + Unpin> AsyncRead for Fair<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = std::mem::take(&mut self.reads_in_a_row);
        if before == MAX_READS_IN_A_ROW {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = ready!(Pin::new(&mut self.wire).poll_read(context, into));
        self.reads_in_a_row = before + 1;
        Poll::Ready(read)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Fair<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
