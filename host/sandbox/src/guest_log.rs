//! What a guest prints and logs: split into lines, logged at once under the message's id, and
//! capped.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::{debug, error, info, trace, warn};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::last_words::LastWords;
use crate::log_line::{LINE, LONGEST_LINE, cost, cut, whole_characters};
use crate::log_tail::LogTail;
use crate::wit::longshore::wasi::logging::logging::Level;

/// What a guest may write at once; it is asked to come back for more.
const PERMIT: usize = 64 << 10;

/// What is said of a socket that a guest tried to use, behind its name.
const NO_SOCKETS: &str = " was refused: handlers have no sockets; send HTTP requests through wasi:http, which --allow-http HOST[:PORT] grants";

/// How much of a context of `wasi:logging` is logged, in bytes.
const LONGEST_CONTEXT: usize = 256;

/// The log of one invocation. The rest of it is written when it is dropped: after the answer, a
/// trap, or an interruption.
#[derive(Debug)]
pub(crate) struct GuestLog {
    /// Bytes that each message may log.
    allowance: usize,
    /// WASI's streams share it, hence the lock, which is held for moments only.
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    message_id: String,
    /// Bytes that may still be logged.
    left: usize,
    /// Bytes that were not.
    dropped: u64,
    /// The lines that have not ended yet, in the order of [`StdStream`].
    unfinished: [Vec<u8>; 2],
    /// The last lines, for whoever looks for the cause of a failure.
    tail: LogTail,
    words: LastWords,
}

/// What a guest said last on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Why it ended, and where.
    OfTheEnd(String),
    /// Something, which may be the cause.
    Before(String),
}

/// A level as the last lines name it, and whether a line of that level is one of them. *Debug* and
/// *trace* may hold what is not for everybody, and are there where the log has them.
fn kept(level: Level) -> (&'static str, bool) {
    match level {
        Level::Trace => ("TRACE", tracing::enabled!(target: "guest", tracing::Level::TRACE)),
        Level::Debug => ("DEBUG", tracing::enabled!(target: "guest", tracing::Level::DEBUG)),
        Level::Info => ("INFO", true),
        Level::Warn => ("WARN", true),
        Level::Error => ("ERROR", true),
        Level::Critical => ("CRITICAL", true),
    }
}

/// One of the two streams that a guest prints to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StdStream {
    Stdout,
    Stderr,
}

impl GuestLog {
    /// A log that takes `allowance` bytes for each message, and keeps the last `tail` of them.
    pub(crate) fn new(message_id: String, allowance: usize, tail: usize) -> Self {
        let unfinished = [Vec::new(), Vec::new()];
        let (tail, words) = (LogTail::new(tail), LastWords::default());
        let written = Written { message_id, left: allowance, dropped: 0, unfinished, tail, words };
        Self { allowance, written: Mutex::new(written) }
    }

    /// Ends one message's log and begins another's, for an instance that handles both.
    pub(crate) fn begin(&self, message_id: String) {
        self.finish();
        let mut written = self.written();
        (written.message_id, written.left) = (message_id, self.allowance);
        written.tail.take();
        written.words.clear();
    }

    /// What the guest said of its own end, or its last line on standard error.
    pub(crate) fn last_words(&self) -> Option<Said> {
        self.finish();
        let written = self.written();
        let of_the_end = written.words.of_the_end().map(Said::OfTheEnd);
        of_the_end.or_else(|| Some(Said::Before(written.words.last_line()?.to_owned())))
    }

    /// Gives the last lines, and forgets them. Of what no log shows by default, they have what it
    /// shows here.
    pub(crate) fn take_tail(&self) -> Vec<String> {
        self.finish();
        self.written().tail.take()
    }

    /// Writes what is left: lines without an end, and how much was dropped.
    pub(crate) fn finish(&self) {
        let mut written = self.written();
        for stream in [StdStream::Stdout, StdStream::Stderr] {
            let unfinished = std::mem::take(&mut written.unfinished[stream as usize]);
            written.line(stream, &unfinished);
        }
        let dropped = std::mem::take(&mut written.dropped);
        if dropped > 0 {
            let message_id = &written.message_id;
            warn!(target: "guest", message_id, dropped, "the handler wrote more than it may log: {dropped} bytes dropped");
        }
    }

    /// Says where the guest was when it stopped.
    pub(crate) fn debug(&self, functions: &str) {
        let message_id = &self.written().message_id;
        debug!(target: "guest", message_id, functions, "where the handler stopped");
    }

    /// Says that a request was refused, and what would have allowed it. A guest may not hear of
    /// that: `fetch` fails with a *NetworkError*. So it is one of the last lines as well.
    pub(crate) fn refused(&self, host: &str, refusal: &str) {
        let mut written = self.written();
        written.tail.add(&["WARN HTTP request refused: "], refusal);
        if written.take(LINE + host.len() + refusal.len()) {
            let message_id = &written.message_id;
            warn!(target: "guest", message_id, host, "HTTP request refused: {refusal}");
        }
    }

    /// Says that the guest tried what no handler may, and what is there instead.
    pub(crate) fn socket_refused(&self, what: &str) {
        let mut written = self.written();
        written.tail.add(&["WARN ", what], NO_SOCKETS);
        if written.take(2 * LINE) {
            let message_id = &written.message_id;
            warn!(target: "guest", message_id, "{what}{NO_SOCKETS}");
        }
    }

    /// Logs a line that the guest sent through `wasi:logging`.
    pub(crate) fn log(&self, level: Level, context: &str, line: &str) {
        if line.is_empty() {
            return;
        }
        let context = &context[..context.floor_char_boundary(LONGEST_CONTEXT)];
        let mut written = self.written();
        let (name, is_kept) = kept(level);
        if is_kept {
            let colon = if context.is_empty() { "" } else { ": " };
            // The last lines are kept whether or not the allowance has room for them.
            written.tail.add(&[name, " ", context, colon], line);
        }
        let beside = LINE + cost(context);
        let mut rest = line;
        while let Some(piece) = written.next_piece(&mut rest, beside) {
            let message_id = &written.message_id;
            match level {
                Level::Trace => trace!(target: "guest", message_id, context, "{piece}"),
                Level::Debug => debug!(target: "guest", message_id, context, "{piece}"),
                Level::Info => info!(target: "guest", message_id, context, "{piece}"),
                Level::Warn => warn!(target: "guest", message_id, context, "{piece}"),
                Level::Error | Level::Critical => error!(target: "guest", message_id, context, "{piece}"),
            }
        }
        longshore_failpoint::kill_at("in-handler");
    }

    fn print(&self, stream: StdStream, bytes: &[u8]) {
        let mut written = self.written();
        let mut unfinished = std::mem::take(&mut written.unfinished[stream as usize]);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            // Standard error is read all the same, since the last of it says why the guest ended.
            // So is standard output where its last lines are kept.
            if written.left <= LINE && matches!(stream, StdStream::Stdout) && !written.tail.keeps() {
                // Nothing of it could be logged.
                written.dropped += part.len() as u64;
                continue;
            }
            match part.strip_suffix(b"\n") {
                Some(line) if unfinished.is_empty() => written.line(stream, line),
                Some(line) => {
                    unfinished.extend_from_slice(line);
                    written.line(stream, &unfinished);
                    unfinished.clear();
                }
                None => unfinished.extend_from_slice(part),
            }
            if unfinished.len() > LONGEST_LINE {
                let rest = unfinished.split_off(whole_characters(&unfinished));
                written.line(stream, &unfinished);
                unfinished = rest;
            }
        }
        written.unfinished[stream as usize] = unfinished;
    }

    /// A panic while it was held left nothing half done that matters to a log.
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// Takes what a line costs, and says whether it may be logged.
    fn take(&mut self, cost: usize) -> bool {
        let fits = cost <= self.left;
        if fits {
            self.left -= cost;
        } else {
            self.left = 0;
        }
        fits
    }

    /// Takes the next piece of a text that may be logged as one line, which costs `beside` besides.
    /// Once nothing more may be logged, counts the rest as dropped.
    fn next_piece<'a>(&mut self, rest: &mut &'a str, beside: usize) -> Option<&'a str> {
        if rest.is_empty() {
            return None;
        }
        let room = self.left.saturating_sub(beside).min(LONGEST_LINE);
        let end = cut(rest, room);
        let (piece, behind) = rest.split_at(end);
        if piece.is_empty() {
            self.dropped += rest.len() as u64;
            self.left = 0;
            *rest = "";
            return None;
        }
        self.left -= beside + cost(piece);
        *rest = behind;
        Some(piece)
    }

    /// Logs a line of a stream, unless there is nothing in it.
    fn line(&mut self, stream: StdStream, line: &[u8]) {
        let line: Cow<'_, str> = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if matches!(stream, StdStream::Stderr) {
            self.words.read(&line);
        }
        if !line.is_empty() {
            self.tail.add(&[], &line);
        }
        let mut rest = &*line;
        while let Some(piece) = self.next_piece(&mut rest, LINE) {
            let message_id = &self.message_id;
            info!(target: "guest", message_id, stream = stream.as_str(), "{piece}");
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        self.finish();
    }
}

impl StdStream {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A stream as WASI sees it: one that never blocks and never fails, so that no guest can trip over
/// its log.
#[derive(Clone)]
pub(crate) struct Printer {
    log: Arc<GuestLog>,
    stream: StdStream,
}

impl Printer {
    pub(crate) fn new(log: &Arc<GuestLog>, stream: StdStream) -> Self {
        Self { log: Arc::clone(log), stream }
    }
}

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Asked for by WASI 0.3 only, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.print(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests;
