//! A handler made of a closure, under tokio's clock. It records what it is given.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_handler::Handler;
use longshore_handler::{Answer, Invocation, RetryReason, Usage, Verdict};
use tokio::time::{Instant, sleep};

type Handle = Box<dyn Fn(Invocation) -> Pin<Box<dyn Future<Output = Verdict> + Send>> + Send + Sync>;

/// A handler made of a closure, that records what it was given and what it completed.
pub struct TestHandler {
    handle: Handle,
    seen: Mutex<Vec<(Instant, Invocation)>>,
    completed: Mutex<HashSet<String>>,
    running: Mutex<(usize, usize)>,
    /// How many invocations were dropped before they ended.
    pub interrupted: Arc<Mutex<usize>>,
    reloads: Mutex<Vec<Instant>>,
    /// What each invocation says that it used.
    usage: Usage,
}

impl TestHandler {
    pub fn new<F>(handle: impl Fn(Invocation) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        Self::using(Usage::default(), handle)
    }

    /// A handler each of whose invocations uses so much.
    pub fn using<F>(usage: Usage, handle: impl Fn(Invocation) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        Arc::new(Self {
            usage,
            handle: Box::new(move |invocation| Box::pin(handle(invocation))),
            seen: Mutex::default(),
            completed: Mutex::default(),
            running: Mutex::default(),
            interrupted: Arc::default(),
            reloads: Mutex::default(),
        })
    }

    /// Completes everything after `work`.
    pub fn completes(work: Duration) -> Arc<Self> {
        Self::new(move |_| async move {
            sleep(work).await;
            Verdict::Completed
        })
    }

    pub fn fails() -> Arc<Self> {
        Self::new(|_| async { failed() })
    }

    /// When which message was handed over, by id and dequeue count.
    pub fn seen(&self) -> Vec<(Instant, String, u32)> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(at, invocation)| (*at, invocation.id.clone(), invocation.dequeue_count)).collect()
    }

    /// When it was asked to become available.
    pub fn reloads(&self) -> Vec<Instant> {
        self.reloads.lock().unwrap().clone()
    }

    pub fn attempts(&self) -> HashMap<String, u32> {
        let mut attempts = HashMap::new();
        for (_, id, _) in self.seen() {
            *attempts.entry(id).or_default() += 1;
        }
        attempts
    }

    pub fn completed(&self) -> HashSet<String> {
        self.completed.lock().unwrap().clone()
    }

    /// The most invocations that ever ran at once.
    pub fn most_at_once(&self) -> usize {
        self.running.lock().unwrap().1
    }
}

pub fn failed() -> Verdict {
    Verdict::Retry { reason: RetryReason::Requested, detail: "no".into(), after: None }
}

struct Running<'a>(&'a TestHandler, bool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.lock().unwrap().0 -= 1;
        if !self.1 {
            *self.0.interrupted.lock().unwrap() += 1;
        }
    }
}

#[async_trait::async_trait]
impl Handler for TestHandler {
    async fn handle(&self, invocation: Invocation) -> Answer {
        let id = invocation.id.clone();
        self.seen.lock().unwrap().push((Instant::now(), invocation.clone()));
        {
            let mut running = self.running.lock().unwrap();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        let mut running = Running(self, false);
        let verdict = (self.handle)(invocation).await;
        running.1 = true;
        if verdict == Verdict::Completed {
            self.completed.lock().unwrap().insert(id);
        }
        Answer { usage: self.usage, ..verdict.into() }
    }

    async fn reload(&self) {
        self.reloads.lock().unwrap().push(Instant::now());
    }

    fn digest(&self) -> Option<String> {
        Some("sha256:test".into())
    }
}
