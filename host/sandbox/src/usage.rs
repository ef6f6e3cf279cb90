//! What one invocation used.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Runs a future, and adds the processor's time that it takes to `cpu`, also if the future is
/// dropped before its end.
///
/// A guest runs only on the thread that polls for it. The thread's clock is therefore read around
/// each poll.
pub(crate) fn metered<F: Future>(
    mut future: Pin<&mut F>,
    cpu: &mut Duration,
) -> impl Future<Output = F::Output> {
    poll_fn(move |context| {
        let before = thread_time();
        let polled = future.as_mut().poll(context);
        *cpu += thread_time().saturating_sub(before);
        polled
    })
}

/// The processor's time that this thread has taken so far.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use super::{metered, thread_time};

    #[tokio::test]
    async fn waiting_takes_no_processor_time_and_work_does() {
        let mut cpu = Duration::ZERO;
        metered(pin!(tokio::time::sleep(Duration::from_millis(100))), &mut cpu).await;
        assert!(cpu < Duration::from_millis(50), "{cpu:?}");
        let before = cpu;
        let busy = async {
            let until = thread_time() + Duration::from_millis(20);
            while thread_time() < until {
                std::hint::spin_loop();
            }
        };
        metered(pin!(busy), &mut cpu).await;
        assert!(cpu - before >= Duration::from_millis(20), "{cpu:?}");
    }
}
