//! A handler made of a closure, under tokio's clock. It records what it is given.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_handler::Handler;
use longshore_handler::{Answer, Invocation, RetryReason, Unavailable, Usage, Verdict};
use tokio::sync::Notify;
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
    /// Whether it is there, at this time. It is asked for again each time that it is looked for.
    is_there: Box<dyn Fn(Instant) -> bool + Send + Sync>,
    missing: Mutex<Option<Unavailable>>,
    replaced: Notify,
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
        Self::there(usage, |_| true, handle)
    }

    /// A handler that completes everything, and can be loaded as `is_there` says. It was looked for
    /// before the run.
    pub fn missing(is_there: impl Fn(Instant) -> bool + Send + Sync + 'static) -> Arc<Self> {
        let handler = Self::there(Usage::default(), is_there, |_| async { Verdict::Completed });
        handler.look();
        handler
    }

    fn there<F>(
        usage: Usage,
        is_there: impl Fn(Instant) -> bool + Send + Sync + 'static,
        handle: impl Fn(Invocation) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        Arc::new(Self {
            usage,
            is_there: Box::new(is_there),
            missing: Mutex::default(),
            replaced: Notify::new(),
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

    /// Looks whether it is there now.
    pub fn look(&self) {
        let is_there = (self.is_there)(Instant::now());
        *self.missing.lock().unwrap() =
            (!is_there).then(|| Unavailable { cause: "no component: is the path right?".into() });
    }

    /// It was replaced by another, as a watched file is.
    pub fn replace(&self) {
        self.look();
        self.replaced.notify_one();
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
        if let Some(Unavailable { cause }) = self.unavailable() {
            return Verdict::retry(RetryReason::ComponentUnavailable, cause).into();
        }
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

    fn unavailable(&self) -> Option<Unavailable> {
        self.missing.lock().unwrap().clone()
    }

    async fn reload(&self) -> Result<(), Unavailable> {
        self.reloads.lock().unwrap().push(Instant::now());
        self.look();
        self.unavailable().map_or(Ok(()), Err)
    }

    async fn replaced(&self) {
        self.replaced.notified().await;
    }

    fn digest(&self) -> Option<String> {
        Some("sha256:test".into())
    }
}
