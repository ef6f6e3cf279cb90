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

use crate::wit::longshore::wasi::logging::logging::Level;

/// What a guest may write at once; it is asked to come back for more.
const PERMIT: usize = 64 << 10;

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
}

/// One of the two streams that a guest prints to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StdStream {
    Stdout,
    Stderr,
}

impl GuestLog {
    pub(crate) fn new(message_id: String, allowance: usize) -> Self {
        let unfinished = [Vec::new(), Vec::new()];
        let written = Written { message_id, left: allowance, dropped: 0, unfinished };
        Self { allowance, written: Mutex::new(written) }
    }

    /// Ends one message's log and begins another's, for an instance that handles both.
    pub(crate) fn begin(&self, message_id: String) {
        self.finish();
        let mut written = self.written();
        (written.message_id, written.left) = (message_id, self.allowance);
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

    /// Says that a request was refused, and what would have allowed it.
    pub(crate) fn refused(&self, host: &str, refusal: &str) {
        let message_id = &self.written().message_id;
        warn!(target: "guest", message_id, host, "HTTP request refused: {refusal}");
    }

    /// Logs a line that the guest sent through `wasi:logging`.
    pub(crate) fn log(&self, level: Level, context: &str, line: &str) {
        let mut written = self.written();
        let taken = written.take(line.len());
        let line = &line[..line.floor_char_boundary(taken)];
        if line.is_empty() {
            return;
        }
        let message_id = &written.message_id;
        match level {
            Level::Trace => trace!(target: "guest", message_id, context, "{line}"),
            Level::Debug => debug!(target: "guest", message_id, context, "{line}"),
            Level::Info => info!(target: "guest", message_id, context, "{line}"),
            Level::Warn => warn!(target: "guest", message_id, context, "{line}"),
            Level::Error | Level::Critical => error!(target: "guest", message_id, context, "{line}"),
        }
        longshore_failpoint::kill_at("in-handler");
    }

    fn print(&self, stream: StdStream, bytes: &[u8]) {
        let mut written = self.written();
        let taken = written.take(bytes.len());
        let mut unfinished = std::mem::take(&mut written.unfinished[stream as usize]);
        for part in bytes[..taken].split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(line) if unfinished.is_empty() => written.line(stream, line),
                Some(line) => {
                    unfinished.extend_from_slice(line);
                    written.line(stream, &unfinished);
                    unfinished.clear();
                }
                None => unfinished.extend_from_slice(part),
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
    /// How many of `bytes` bytes may still be logged.
    fn take(&mut self, bytes: usize) -> usize {
        let taken = bytes.min(self.left);
        self.left -= taken;
        self.dropped += (bytes - taken) as u64;
        taken
    }

    /// Logs a line of a stream, unless there is nothing in it.
    fn line(&self, stream: StdStream, line: &[u8]) {
        let line: Cow<'_, str> = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if line.is_empty() {
            return;
        }
        let message_id = &self.message_id;
        info!(target: "guest", message_id, stream = stream.as_str(), "{line}");
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
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use longshore_testkit::log;
    use tracing::Level as LogLevel;
    use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
    use wasmtime_wasi::p2::OutputStream;

    use super::{GuestLog, Level, Printer, StdStream};

    fn guest_log(message_id: &str, allowance: usize) -> Arc<GuestLog> {
        log::collect();
        Arc::new(GuestLog::new(message_id.to_owned(), allowance))
    }

    fn print(log: &Arc<GuestLog>, stream: StdStream, text: &'static str) {
        Printer::new(log, stream).write(Bytes::from_static(text.as_bytes())).unwrap();
    }

    fn lines(message_id: &str) -> Vec<(String, String)> {
        let shown = |line: &log::Line| line.field("stream").unwrap_or("-").to_owned();
        log::of(message_id).iter().map(|line| (shown(line), line.text.clone())).collect()
    }

    fn line(stream: &str, text: &str) -> (String, String) {
        (stream.to_owned(), text.to_owned())
    }

    #[test]
    fn a_line_is_logged_when_it_ends_and_the_rest_at_the_end() {
        let log = guest_log("unit-lines", 100);
        print(&log, StdStream::Stdout, "one in ");
        print(&log, StdStream::Stderr, "other\r\n\n");
        assert_eq!(lines("unit-lines"), [line("stderr", "other")]);
        print(&log, StdStream::Stdout, "pieces\ntwo\nthr");
        let printed = [line("stderr", "other"), line("stdout", "one in pieces"), line("stdout", "two")];
        assert_eq!(lines("unit-lines"), printed);
        drop(log);
        assert_eq!(lines("unit-lines")[3..], [line("stdout", "thr")]);
    }

    #[test]
    fn what_is_over_the_allowance_is_dropped_and_counted_once() {
        let log = guest_log("unit-cap", 10);
        print(&log, StdStream::Stdout, "12345678\n");
        print(&log, StdStream::Stdout, "abc");
        log.log(Level::Info, "", "never");
        log.finish();
        assert_eq!(lines("unit-cap")[..2], [line("stdout", "12345678"), line("stdout", "a")]);
        let last = log::of("unit-cap").pop().unwrap();
        assert_eq!((last.level, last.field("dropped")), (LogLevel::WARN, Some("7")));
        log.finish();
        drop(log);
        assert_eq!(lines("unit-cap").len(), 3);
    }

    #[test]
    fn a_log_that_fits_ends_without_a_warning() {
        let log = guest_log("unit-fits", 3);
        print(&log, StdStream::Stdout, "ab\n");
        drop(log);
        assert_eq!(lines("unit-fits"), [line("stdout", "ab")]);
    }

    #[test]
    fn each_message_of_an_instance_has_its_own_log_and_allowance() {
        let log = guest_log("unit-first", 4);
        print(&log, StdStream::Stdout, "12345");
        log.begin("unit-second".to_owned());
        print(&log, StdStream::Stdout, "abcd");
        drop(log);
        assert_eq!(lines("unit-first")[0], line("stdout", "1234"));
        assert_eq!(lines("unit-second"), [line("stdout", "abcd")]);
    }

    #[test]
    fn a_level_of_the_guest_is_a_level_of_the_host() {
        let log = guest_log("unit-levels", 1000);
        let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Critical];
        for level in levels {
            log.log(level, "context", "said");
        }
        let seen = log::of("unit-levels");
        let expected = [
            LogLevel::TRACE,
            LogLevel::DEBUG,
            LogLevel::INFO,
            LogLevel::WARN,
            LogLevel::ERROR,
            LogLevel::ERROR,
        ];
        assert_eq!(seen.iter().map(|line| line.level).collect::<Vec<_>>(), expected);
        assert!(seen.iter().all(|line| line.text == "said" && line.field("context") == Some("context")));
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        let log = guest_log("unit-cut", 4);
        log.log(Level::Info, "", "aaa\u{e9}");
        assert_eq!(lines("unit-cut"), [line("-", "aaa")]);
    }

    #[test]
    fn a_refused_request_and_a_stop_are_logged_under_the_message() {
        let log = guest_log("unit-refused", 10);
        log.refused("host.example", "not granted");
        log.debug("inner < outer");
        let seen = log::of("unit-refused");
        let shown: Vec<_> =
            seen.iter().map(|line| (line.level, line.field("host"), line.field("functions"))).collect();
        let expected =
            [(LogLevel::WARN, Some("host.example"), None), (LogLevel::DEBUG, None, Some("inner < outer"))];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_stream_never_blocks_and_is_no_terminal() {
        let log = guest_log("unit-stream", 10);
        let printer = Printer::new(&log, StdStream::Stdout);
        assert!(!printer.is_terminal());
        let mut stream = printer.p2_stream();
        assert_eq!(stream.check_write().unwrap(), 65_536);
        stream.flush().unwrap();
        stream.write(Bytes::from_static(b"through\n")).unwrap();
        assert_eq!(lines("unit-stream"), [line("stdout", "through")]);
    }
}
