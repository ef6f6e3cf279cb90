//! `longshore poison …` as the page runs it: a process of this very program. What the page does is
//! what the verb does, and a page that ends in the middle is a verb that was stopped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::CommandFactory;
use serde::Deserialize;
use tokio::process::Command;

use super::own_words;
use crate::cli::Cli;
use crate::exit::{Clause, Failure};
use longshore_dev::page::SweepCount;

/// How many messages are named to one process.
const IDS: usize = 500;
/// How long one process may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
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

    /// `poison redrive` or `poison purge` of these messages; of all of them, where no id is given.
    pub(in crate::commands) async fn sweep(
        &self,
        verb: &str,
        ids: &[String],
        dry_run: bool,
    ) -> Result<SweepCount, String> {
        let mut swept = SweepCount::default();
        let mut skipped = BTreeMap::new();
        let nobody: &[&[String]] = &[&[]];
        let parts: Vec<_> = ids.chunks(IDS).collect();
        for part in if parts.is_empty() { nobody } else { &parts } {
            let mut words: Vec<OsString> = vec!["poison".into(), verb.into()];
            words.extend(self.words.iter().cloned());
            words.extend(dry_run.then(|| "--dry-run".into()));
            words.extend((verb == "purge").then(|| "--yes".into()));
            // What begins with a hyphen is an id as well.
            words.push("--".into());
            words.extend(part.iter().map(Into::into));
            let (printed, said) = self.run(words).await?;
            let printed = printed.lines().next_back().and_then(|it| serde_json::from_str::<Printed>(it).ok());
            let Some(printed) = printed else { return Err(said) };
            swept.messages += printed.messages;
            for (reason, count) in printed.skipped {
                *skipped.entry(reason).or_insert(0) += count;
            }
            if printed.hidden > 0 {
                *skipped.entry("leased by somebody else".to_owned()).or_insert(0) += printed.hidden;
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
        let text = [printed.trim(), said.trim()].join("\n");
        Ok(if text.trim().is_empty() { "It said nothing.".into() } else { text })
    }

    /// What a process of it prints, and what it says of its end.
    async fn run(&self, words: Vec<OsString>) -> Result<(String, String), String> {
        let mut command = Command::new(&self.program);
        command.args(["--output=json", "--log=warn", "--log-format=json"]).args(words);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(PATIENCE, command.output()).await;
        let ended =
            ended.map_err(|_| "it took longer than a quarter of an hour, and was ended".to_owned())?;
        let ended = ended.map_err(|error| format!("this program cannot be started once more: {error}"))?;
        let said = String::from_utf8_lossy(&ended.stderr);
        let said: Vec<_> =
            said.lines().map(|line| line.strip_prefix("longshore: ").unwrap_or(line)).collect();
        Ok((String::from_utf8_lossy(&ended.stdout).into_owned(), said.join("\n")))
    }
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
