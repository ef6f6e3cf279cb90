//! What sends the messages: one `longshore send` that reads lines from a pipe, as long as the run
//! takes. What it has said to be sent counts as sent.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::messages::body;
use super::worker::{Sample, Starter};

/// How often it is looked whether more may be sent.
const TICK: Duration = Duration::from_millis(10);

/// The sender, which is killed when this value is dropped.
pub(super) struct Feeder {
    process: Child,
    /// So many may be sent.
    allowed: Arc<AtomicU64>,
    /// So many were.
    sent: Arc<AtomicU64>,
    total: u64,
    threads: Vec<JoinHandle<()>>,
}

impl Feeder {
    /// Starts it; nothing is sent yet.
    pub(super) fn start(starter: &Starter, total: u64) -> Self {
        let mut process = starter
            .verb(&["send", &format!("--queue={}", starter.queue), "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (allowed, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut lines = BufWriter::new(process.stdin.take().unwrap());
        let (may, pace) = (allowed.clone(), starter.pace);
        let writing = std::thread::spawn(move || {
            let mut number = 0;
            while number < total {
                let until = may.load(Ordering::Relaxed);
                for number in number..until {
                    lines.write_all(&body(number, pace)).unwrap();
                    lines.write_all(b"\n").unwrap();
                }
                number = until.max(number);
                lines.flush().unwrap();
                std::thread::sleep(TICK);
            }
        });
        let said = BufReader::new(process.stdout.take().unwrap());
        let counted = sent.clone();
        let counting = std::thread::spawn(move || {
            for line in said.lines() {
                assert!(line.unwrap().contains("\"id\""));
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { process, allowed, sent, total, threads: vec![writing, counting] }
    }

    /// Lets it send so many in all.
    pub(super) fn allow(&self, messages: u64) {
        self.allowed.fetch_max(messages.min(self.total), Ordering::Relaxed);
    }

    /// How many are in the queue, or were.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What the process has at the moment; nothing once it has ended.
    pub(super) fn sample(&self) -> Sample {
        if self.sent() < self.total { Sample::of(self.process.id()) } else { Sample::default() }
    }

    /// Waits for its end, which comes when everything is sent.
    pub(super) fn end(mut self) {
        for thread in std::mem::take(&mut self.threads) {
            thread.join().unwrap();
        }
        let status = self.process.wait().unwrap();
        assert!(status.success(), "`send` ended with {status}");
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
