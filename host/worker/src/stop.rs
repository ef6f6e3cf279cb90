//! How a run is told to stop (rule 9).

use tokio::sync::watch;

/// How urgently a run is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It is not.
    #[default]
    None,
    /// Receive nothing more, and let running handlers have their grace (SIGTERM).
    Drain,
    /// Interrupt running handlers now (a second signal).
    Now,
}

/// The sending side: dropping it stops nothing.
#[derive(Clone, Debug, Default)]
pub struct Stopper(watch::Sender<Urgency>);

impl Stopper {
    /// Asks for an end; each further call asks more urgently.
    pub fn stop(&self) {
        self.0.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None { Urgency::Drain } else { Urgency::Now };
        });
    }

    /// A receiving side.
    pub fn signal(&self) -> StopSignal {
        StopSignal(self.0.subscribe())
    }
}

/// The receiving side.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<Urgency>);

impl StopSignal {
    /// Whether a stop of at least this urgency was asked for.
    pub fn is_asked(&self, urgency: Urgency) -> bool {
        *self.0.borrow() >= urgency
    }

    /// Waits until a stop of at least this urgency is asked for. If the last [`Stopper`] was
    /// dropped, it waits for ever.
    pub async fn wait(&mut self, urgency: Urgency) {
        if self.0.wait_for(|asked| *asked >= urgency).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until a stop is asked for that was not when this signal was taken, however urgent.
    pub async fn wait_for_another(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn each_further_stop_is_heard_by_who_waits_for_another() {
        let stopper = Stopper::default();
        for asked in [Urgency::Drain, Urgency::Now, Urgency::Now] {
            let mut another = stopper.signal();
            assert!(another.wait_for_another().now_or_never().is_none());
            stopper.stop();
            assert!(another.wait_for_another().now_or_never().is_some());
            assert!(another.is_asked(asked));
        }
    }
}
