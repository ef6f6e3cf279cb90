//! A thread of its own for exports: while it copies and sends a batch, no message waits for the
//! thread that it is on.

use std::io;
use std::sync::Arc;
use std::thread::Builder as ThreadBuilder;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// What the thread is called.
const NAME: &str = "telemetry";

/// A thread that exports. It lives until this is dropped, and until it is done.
#[derive(Debug)]
pub(super) struct ExportThread {
    done: oneshot::Receiver<()>,
    /// Metrics may go over a connection that the thread has made, and holds.
    _held: oneshot::Sender<()>,
}

impl ExportThread {
    /// Starts a thread on which this is made, and waited for. `None` if there is nothing to wait
    /// for; what cannot be started is said in the log.
    pub(super) fn start<T>(export: impl FnOnce() -> Option<T>) -> Option<Self>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let cannot = |error: io::Error| {
            tracing::warn!(%error, "traces are not exported, since there is no thread for it");
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot).ok()?;
        let export = {
            // What connects does so on the runtime that it was made on.
            let _on = runtime.enter();
            export()
        };
        let Some(export) = export else {
            runtime.shutdown_background();
            return None;
        };
        let ((ended, done), (held, released)) = (oneshot::channel(), oneshot::channel::<()>());
        let export = async {
            export.await;
            // Nobody may wait any more. Nothing is said when it is released: the sender is dropped.
            let _ = ended.send(());
            let _ = released.await;
        };
        // A runtime must not be dropped on another one, as it would be if no thread took it.
        let runtime = Arc::new(runtime);
        let on_thread = Arc::clone(&runtime);
        let thread = ThreadBuilder::new().name(NAME.to_owned()).spawn(move || on_thread.block_on(export));
        if let Err(error) = thread {
            cannot(error);
            Arc::into_inner(runtime)?.shutdown_background();
            return None;
        }
        Some(Self { done, _held: held })
    }

    /// Waits until it is done.
    pub(super) async fn done(&mut self) {
        // It ends without a word where it panics.
        let _ = (&mut self.done).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_exported_is_on_the_thread_and_is_waited_for() {
        let (name, named) = oneshot::channel();
        let export = async {
            tokio::spawn(async {}).await.unwrap();
            name.send(std::thread::current().name().map(str::to_owned)).unwrap();
        };
        let mut thread = ExportThread::start(|| Some(export)).unwrap();
        thread.done().await;
        assert_eq!(named.await.unwrap().as_deref(), Some(NAME));
        // A runtime that was dropped here would panic.
        assert!(ExportThread::start(|| None::<std::future::Ready<()>>).is_none());
    }
}
