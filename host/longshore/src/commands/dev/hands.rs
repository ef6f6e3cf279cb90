//! What the keys of the terminal do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::watch::Sender;

use super::keys::DevKey;
use super::page::open_link;
use longshore_dev::StopStage;
use longshore_dev::page::{PageActions, Sample, SignIn};
use longshore_queue::{Outgoing, Queue};

/// How long a question waits for its key.
const ASKED_FOR: Duration = Duration::from_secs(20);

/// Whoever presses keys.
pub(super) struct Hands {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) actions: Arc<dyn PageActions>,
    pub(super) samples: Vec<Sample>,
    /// Whether the queue is one's own.
    pub(super) may_change: bool,
    pub(super) sign_in: Option<SignIn>,
    pub(super) opener: Arc<super::open_link::LinkOpener>,
    pub(super) stop: Sender<StopStage>,
    /// What is said of each, a line for the terminal.
    pub(super) said: mpsc::UnboundedSender<String>,
}

impl Hands {
    /// Does what the keys ask for, one after the other, for ever.
    pub(super) async fn work(self, mut keys: mpsc::Receiver<DevKey>) {
        let (mut next_sample, mut asked) = (0, None::<Instant>);
        while let Some(key) = keys.recv().await {
            let was_asked = asked.take().is_some_and(|at| at.elapsed() < ASKED_FOR);
            let said = match key {
                DevKey::Send => {
                    next_sample += 1;
                    self.send(next_sample - 1).await
                }
                DevKey::Redrive if !self.may_change => not_own(),
                DevKey::Redrive if was_asked => self.redrive(false).await,
                DevKey::Redrive => {
                    asked = Some(Instant::now());
                    self.redrive(true).await
                }
                DevKey::Open => self.open(),
                DevKey::Quit => {
                    self.quit();
                    continue;
                }
            };
            let _ = self.said.send(said);
        }
    }

    async fn send(&self, number: usize) -> String {
        if !self.may_change {
            return not_own();
        }
        let Some(sample) = self.samples.get(number % self.samples.len().max(1)) else {
            return "there is no sample".into();
        };
        let message = Outgoing { body: sample.body.clone().into(), ..Outgoing::default() };
        match self.queue.send(message).await {
            Ok(_) => format!("the sample `{}` was sent", sample.name),
            Err(error) => format!("the sample was not sent: {error}"),
        }
    }

    async fn redrive(&self, dry_run: bool) -> String {
        match self.actions.redrive(&[], dry_run).await {
            Ok(swept) if swept.messages == 0 => "no poison message would be redriven".into(),
            Ok(swept) if dry_run => {
                format!("{} poison messages would be redriven; press r once more to do it", swept.messages)
            }
            Ok(swept) => format!("{} poison messages were redriven", swept.messages),
            Err(error) => format!("nothing was redriven: {error}"),
        }
    }

    fn open(&self) -> String {
        let Some(sign_in) = &self.sign_in else { return "--no-page: there is no page".into() };
        let opened = open_link(&self.opener, sign_in);
        // One of its own, for a browser that is started by hand.
        let link = sign_in.link();
        match opened {
            Ok(()) => format!("the page is opened; for another browser: {link}"),
            Err(error) => format!("{}: {link}", error.message()),
        }
    }

    /// The first time as SIGTERM does, then as a second one.
    fn quit(&self) {
        self.stop.send_modify(|stage| {
            *stage = if *stage == StopStage::GoOn { StopStage::Terminate } else { StopStage::Kill };
        });
    }
}

fn not_own() -> String {
    "this queue is not on this machine; `longshore send` and `longshore poison redrive` change it".into()
}
