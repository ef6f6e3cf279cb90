//! Turns of tasks.

use std::future::poll_fn;
use std::task::Poll;

/// Waits until the tasks have had a turn that can run now. Who is woken by a task would run right
/// after it: what handlers settle that end together would be sent one by one, each in a packet.
pub(super) async fn after_others() {
    let mut has_waited = false;
    let wait = poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        // Behind those that wait for a turn. Another thread may take it over; tokio's own way to
        // yield would leave it to this one, which a handler may keep busy.
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    wait.await;
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_waits_for_others_finds_what_all_of_them_have_done() {
        let found = tokio::spawn(async {
            let (done, mut doing) = unbounded_channel();
            let waiting = tokio::spawn(async move {
                let first = doing.recv().await;
                after_others().await;
                first.into_iter().chain(std::iter::from_fn(|| doing.try_recv().ok())).count()
            });
            tokio::task::yield_now().await;
            for number in 0..16 {
                let done = done.clone();
                tokio::spawn(async move { done.send(number) });
            }
            waiting.await.unwrap()
        });
        assert_eq!(found.await.unwrap(), 16);
    }
}
