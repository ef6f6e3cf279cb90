//! What the keys of the terminal do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::watch::{Receiver, Sender};
use tokio::task::JoinSet;

use super::burst::DevKey;
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

/// What a key came to.
struct Handled {
    /// A line for the terminal.
    said: String,
    /// It is a question, whose answer is another key.
    is_question: bool,
}

impl Hands {
    /// Does what the keys ask for, one after the other, for ever. Nothing that takes long holds up
    /// the end of everything.
    pub(super) async fn work(self, mut keys: mpsc::Receiver<DevKey>) {
        let hands = Arc::new(self);
        let (mut next_sample, mut asked) = (0, None::<Instant>);
        let mut doing = JoinSet::new();
        let (mut stop, mut is_stopping) = (hands.stop.subscribe(), false);
        loop {
            let key = tokio::select! {
                biased;
                () = is_told(&mut stop), if !is_stopping => {
                    is_stopping = true;
                    // What is not done of a redrive is still there.
                    doing.shutdown().await;
                    continue;
                }
                key = keys.recv() => key,
                Some(done) = doing.join_next() => {
                    // What panicked has said so.
                    let Ok(Handled { said, is_question }) = done else { continue };
                    asked = is_question.then(Instant::now);
                    let _ = hands.said.send(said);
                    continue;
                }
            };
            let key = match key {
                None => return,
                Some(DevKey::Quit) => {
                    hands.quit();
                    continue;
                }
                Some(_) if is_stopping => continue,
                Some(_) if !doing.is_empty() => {
                    let _ =
                        hands.said.send("the key before this one still has work; q ends everything".into());
                    continue;
                }
                Some(key) => key,
            };
            let was_asked = asked.take().is_some_and(|at| at.elapsed() < ASKED_FOR);
            // An answer to nothing.
            if key == DevKey::Yes && !was_asked {
                continue;
            }
            next_sample += usize::from(key == DevKey::Send);
            let (hands, number) = (hands.clone(), next_sample);
            doing.spawn(async move { hands.handle(key, number).await });
        }
    }

    async fn handle(&self, key: DevKey, number: usize) -> Handled {
        let said = |said: String| Handled { said, is_question: false };
        match key {
            DevKey::Send => said(self.send(number.saturating_sub(1)).await),
            DevKey::Redrive if !self.may_change => said(not_own()),
            DevKey::Redrive => self.redrive(true).await,
            DevKey::Yes => self.redrive(false).await,
            DevKey::Open => said(self.open()),
            // It was dealt with before.
            DevKey::Quit => said(String::new()),
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

    async fn redrive(&self, dry_run: bool) -> Handled {
        let said = match self.actions.redrive(&[], dry_run).await {
            Ok(swept) if swept.messages == 0 => "no poison message would be redriven".into(),
            Ok(swept) if dry_run => {
                let said = format!("{} would be redriven; press y to do it", poison_messages(swept.messages));
                return Handled { said, is_question: true };
            }
            Ok(swept) if swept.messages == 1 => "1 poison message was redriven".into(),
            Ok(swept) => format!("{} were redriven", poison_messages(swept.messages)),
            Err(error) => format!("nothing was redriven: {error}"),
        };
        Handled { said, is_question: false }
    }

    fn open(&self) -> String {
        let Some(sign_in) = &self.sign_in else { return "--no-page: there is no page".into() };
        let opened = open_link(&self.opener, sign_in, &self.said);
        // One of its own, for a browser that is started by hand.
        let link = sign_in.link();
        match opened {
            Ok(()) => format!("a browser is asked to open the page; for another browser: {link}"),
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

/// Waits for the end of everything; for ever, where nobody can ask for it any more.
async fn is_told(stop: &mut Receiver<StopStage>) {
    if stop.wait_for(|stage| *stage > StopStage::GoOn).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn poison_messages(count: u64) -> String {
    if count == 1 { "1 poison message".into() } else { format!("{count} poison messages") }
}

fn not_own() -> String {
    "this queue is not on this machine; `longshore send` and `longshore poison redrive` change it".into()
}
