//! What the SDK asks of a runtime, without threads: a component has one.

use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use azure_core::async_runtime::{AbortableTask, AsyncRuntime, SpawnedTask, TaskFuture, set_async_runtime};
use azure_core::time::Duration;

/// Has the SDK sleep and spawn here. Its own ways start threads.
pub(super) fn install() {
    // It fails where it was done before.
    let _ = set_async_runtime(Arc::new(Runtime));
}

/// Runs a future to its end: the bridge from a handler, which is synchronous, to the SDK.
///
/// Several requests beside each other are one future: `futures::join!` makes it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let alarm = Arc::new(Alarm { rang: AtomicBool::new(false), thread: std::thread::current() });
    let waker = Waker::from(alarm.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !alarm.rang.swap(false, Ordering::Acquire) {
            #[cfg(target_family = "wasm")]
            super::reactor::wait();
            #[cfg(not(target_family = "wasm"))]
            std::thread::park();
        }
    }
}

struct Alarm {
    rang: AtomicBool,
    thread: Thread,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

struct Runtime;

impl AsyncRuntime for Runtime {
    /// A task that makes progress while it is awaited.
    fn spawn(&self, task: TaskFuture) -> SpawnedTask {
        Box::pin(Task(Mutex::new(Some(task))))
    }

    fn sleep(&self, duration: Duration) -> TaskFuture {
        let duration = std::time::Duration::try_from(duration).unwrap_or_default();
        #[cfg(target_family = "wasm")]
        return Box::pin(async move {
            let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            super::reactor::ready(wasip2::clocks::monotonic_clock::subscribe_duration(nanoseconds)).await;
        });
        #[cfg(not(target_family = "wasm"))]
        Box::pin(async move { std::thread::sleep(duration) })
    }

    fn yield_now(&self) -> TaskFuture {
        Box::pin(std::future::ready(()))
    }
}

/// `None` once it has ended, or was aborted.
struct Task(Mutex<Option<TaskFuture>>);

impl Future for Task {
    type Output = Result<(), Box<dyn Error + Send>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match task.as_mut().map(|it| it.as_mut().poll(context)) {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(())) | None => {
                *task = None;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AbortableTask for Task {
    fn abort(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use azure_core::async_runtime::get_async_runtime;

    use super::*;

    #[test]
    fn a_future_that_another_thread_wakes_is_run_to_its_end() {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            sender.send(7).unwrap();
        });
        assert_eq!(block_on(receiver), Ok(7));
        thread.join().unwrap();
    }

    #[test]
    fn the_sdk_sleeps_without_a_thread() {
        install();
        let started = std::time::Instant::now();
        block_on(azure_core::sleep(Duration::milliseconds(20)));
        assert!(started.elapsed() >= std::time::Duration::from_millis(20));
    }

    #[test]
    fn a_task_ends_when_it_is_awaited_and_does_nothing_once_it_was_aborted() {
        install();
        let runs = Arc::new(AtomicU32::new(0));
        let task = || -> TaskFuture {
            let runs = runs.clone();
            Box::pin(async move { _ = runs.fetch_add(1, Ordering::Relaxed) })
        };
        block_on(get_async_runtime().spawn(task())).unwrap();
        let aborted = get_async_runtime().spawn(task());
        aborted.abort();
        block_on(aborted).unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }
}
