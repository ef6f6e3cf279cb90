//! `longshore poison …` as the page runs it: a process of this very program. What the page does is
//! what the verb does, and a page that ends in the middle is a verb that was stopped.
//!
//! The process holds the reading end of a pipe as its standard input. When this one is gone,
//! however it went, the kernel closes the pipe, and the process stops as after SIGTERM.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::CommandFactory;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::own_words;
use crate::cli::Cli;
use crate::exit::{Clause, Failure};
use longshore_dev::page::{ChosenPoison, PoisonSweep, SweepCount, SweepVerb};

/// How many messages are named to one process.
const IDS: usize = 500;
/// How long one process may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long one may take to stop: it makes visible what it has leased.
const STOPS_WITHIN: Duration = Duration::from_secs(30);
/// The flags that say whose poison messages are meant.
const QUEUES: [&str; 2] = ["--queue", "--poison-queue"];

/// This program, on these queues.
#[derive(Debug)]
pub(in crate::commands) struct PoisonProgram {
    program: PathBuf,
    words: Vec<OsString>,
}

/// What `poison redrive` and `poison purge` print.
#[derive(Deserialize)]
struct Printed {
    messages: u64,
    #[serde(default)]
    skipped: BTreeMap<String, u64>,
    #[serde(default)]
    hidden: u64,
    approximate_count: Option<u64>,
    inserted_until: Option<Timestamp>,
    #[serde(default)]
    not_asked_about: u64,
    #[serde(default)]
    newer: u64,
}

/// What `poison replay` prints, as far as it decides what is said.
#[derive(Deserialize)]
struct PrintedReplay {
    outcome: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    outbox: Vec<serde_json::Value>,
}

impl PoisonProgram {
    /// This program, on the queues that it was started with.
    pub(in crate::commands) fn of_this_process() -> Result<Self, Failure> {
        let program = std::env::current_exe().during(|| "this program's own file cannot be found")?;
        Ok(Self { program, words: own_words(&QUEUES) })
    }

    /// Whether this program can hand one poison message to a handler.
    pub(in crate::commands) fn can_replay() -> bool {
        replay_flags().is_some()
    }

    /// What `poison redrive` or `poison purge` would do, by a dry run.
    pub(in crate::commands) async fn foresee(&self, sweep: &PoisonSweep) -> Result<SweepCount, String> {
        // How many there are is what is asked.
        let chosen = ChosenPoison { at_most: None, ..sweep.chosen.clone() };
        self.run_sweep(sweep.verb, &chosen, &["--dry-run"]).await
    }

    /// `poison redrive` or `poison purge`.
    pub(in crate::commands) async fn sweep(&self, sweep: &PoisonSweep) -> Result<SweepCount, String> {
        let flags: &[&str] = if sweep.verb == SweepVerb::Purge { &["--yes"] } else { &[] };
        self.run_sweep(sweep.verb, &sweep.chosen, flags).await
    }

    async fn run_sweep(
        &self,
        verb: SweepVerb,
        chosen: &ChosenPoison,
        flags: &[&str],
    ) -> Result<SweepCount, String> {
        let verb = match verb {
            SweepVerb::Redrive => "redrive",
            SweepVerb::Purge => "purge",
        };
        let until = chosen.until.map(|it| format!("--inserted-until={it}"));
        let at_most = chosen.at_most.map(|it| format!("--at-most={it}"));
        let mut swept = SweepCount::default();
        let mut skipped = BTreeMap::new();
        let nobody: &[&[String]] = &[&[]];
        let parts: Vec<_> = chosen.ids.chunks(IDS).collect();
        for part in if parts.is_empty() { nobody } else { &parts } {
            let mut words: Vec<OsString> = vec!["poison".into(), verb.into()];
            words.extend(self.words.iter().cloned());
            words.extend(flags.iter().map(Into::into));
            words.extend(until.iter().chain(&at_most).map(Into::into));
            // What begins with a hyphen is an id as well.
            words.push("--".into());
            words.extend(part.iter().map(Into::into));
            let (printed, said) = self.run(words).await?;
            let printed = printed.lines().next_back().and_then(|it| serde_json::from_str::<Printed>(it).ok());
            let Some(printed) = printed else { return Err(said) };
            swept.messages += printed.messages;
            if part.is_empty() {
                (swept.of_about, swept.inserted_until) = (printed.approximate_count, printed.inserted_until);
            }
            for (reason, count) in printed.skipped {
                *skipped.entry(reason).or_insert(0) += count;
            }
            let came_later = printed.not_asked_about + printed.newer;
            let more =
                [("leased by somebody else", printed.hidden), ("came in after the question", came_later)];
            for (reason, count) in more.into_iter().filter(|(_, count)| *count > 0) {
                *skipped.entry(reason.to_owned()).or_insert(0) += count;
            }
        }
        swept.skipped = skipped.into_iter().collect();
        Ok(swept)
    }

    /// `poison replay` of one message, with those of the words that the verb knows.
    pub(in crate::commands) async fn replay(&self, id: &str, run: &[OsString]) -> Result<String, String> {
        let Some(flags) = replay_flags() else {
            return Err("this longshore has no verb `poison replay`".into());
        };
        let is_known = |word: &&OsString| {
            let word = word.to_string_lossy();
            let flag = word.split('=').next().unwrap_or_default();
            flags.iter().any(|it| format!("--{it}") == flag)
        };
        let mut words: Vec<OsString> = vec!["poison".into(), "replay".into()];
        words.extend(run.iter().filter(is_known).cloned());
        words.extend(["--".into(), id.into()]);
        let (printed, said) = self.run(words).await?;
        // A replay that was refused prints nothing but why.
        let last = printed.lines().next_back().and_then(|it| serde_json::from_str::<PrintedReplay>(it).ok());
        let Some(replayed) = last else {
            let said = said.trim();
            return Err(if said.is_empty() { "the replay said nothing".into() } else { said.to_owned() });
        };
        Ok(replayed.words(&said))
    }

    /// What a process of it prints, and what it says of its end. It stops when nobody waits any
    /// more.
    async fn run(&self, words: Vec<OsString>) -> Result<(String, String), String> {
        let mut command = Command::new(&self.program);
        command.args(["--output=json", "--log=warn", "--log-format=json", "--stop-with-input"]).args(words);
        // Ctrl-C on the terminal is for this process, whose end stops the other.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let started =
            command.spawn().map_err(|error| format!("this program cannot be started once more: {error}"));
        let mut child = started?;
        let input = child.stdin.take();
        let (printed, said) = (child.stdout.take(), child.stderr.take());
        let mut ended = Box::pin(async { tokio::join!(child.wait(), text(printed), text(said)) });
        let mut in_time = tokio::time::timeout(PATIENCE, &mut ended).await;
        let was_stopped = in_time.is_err();
        if was_stopped {
            drop(input);
            in_time = tokio::time::timeout(STOPS_WITHIN, &mut ended).await;
        }
        drop(ended);
        let Ok((status, printed, said)) = in_time else {
            let _ = child.start_kill();
            return Err("it took longer than a quarter of an hour, did not stop, and was killed".into());
        };
        status.map_err(|error| format!("the process cannot be waited for: {error}"))?;
        let said: Vec<_> =
            said.lines().map(|line| line.strip_prefix("longshore: ").unwrap_or(line)).collect();
        if was_stopped && printed.is_empty() {
            return Err("it took longer than a quarter of an hour, and was stopped".into());
        }
        Ok((printed, said.join("\n")))
    }
}

impl PrintedReplay {
    /// What became of the message here, for people.
    fn words(&self, said: &str) -> String {
        let cause = [&*self.reason, &*self.detail].into_iter().filter(|it| !it.is_empty());
        let cause = cause.collect::<Vec<_>>().join(": ");
        let outcome = match (&*self.outcome, cause.is_empty()) {
            (outcome, true) => format!("The handler's answer: {outcome}."),
            (outcome, false) => format!("The handler's answer: {outcome}, {cause}."),
        };
        let sent = (!self.outbox.is_empty())
            .then(|| format!("It would send {} messages; none was sent.", self.outbox.len()));
        let lines = std::iter::once(outcome).chain(sent);
        let said = Some(said.trim().to_owned()).filter(|it| !it.is_empty());
        lines
            .chain(["Nothing was settled: the message lies where it lay.".to_owned()])
            .chain(said)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// All that is read there, as text.
async fn text(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // What was read before an error is read.
        let _ = from.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The flags of `poison replay`, if there is such a verb.
fn replay_flags() -> Option<Vec<String>> {
    let command = Cli::command();
    let replay = command.find_subcommand("poison")?.find_subcommand("replay")?;
    let longs = |command: &clap::Command| -> Vec<String> {
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
    };
    Some([longs(replay), longs(&command)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_replayed_message_is_said_in_words() {
        let words = |json: &str| serde_json::from_str::<PrintedReplay>(json).unwrap().words("");
        let settled = "Nothing was settled: the message lies where it lay.";
        assert_eq!(
            words(r#"{"outcome":"completed"}"#),
            format!("The handler's answer: completed.\n{settled}")
        );
        assert_eq!(
            words(r#"{"outcome":"retry","reason":"trap","detail":"no stock","outbox":[1,2]}"#),
            format!(
                "The handler's answer: retry, trap: no stock.\nIt would send 2 messages; none was sent.\n{settled}"
            )
        );
    }
}
