//! What was done with poison messages, as it is counted and told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::print;
use super::choice::Choice;
use super::foreseen::Foreseen;
use crate::cli::Format;
use crate::exit::Failure;

/// What was done with a message that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// What was to be done with it is done.
    Done,
    /// It was not chosen.
    NotChosen,
    /// It was chosen, and is more than somebody was asked about.
    NotAskedAbout,
    /// It was chosen, and stays for this reason.
    Skipped(&'static str),
}

/// How many messages were looked at, and what became of them: `seen` is the sum of what was done,
/// skipped, not asked about and not chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) seen: u64,
    pub(super) done: u64,
    pub(super) not_chosen: u64,
    /// Those that match, and are more than somebody was asked about.
    pub(super) not_asked_about: u64,
    /// Those of the latter that cannot be read, where a pattern chose by the detail.
    pub(super) unreadable: u64,
    pub(super) skipped: BTreeMap<&'static str, u64>,
    /// Those that came after the beginning, and were left alone.
    pub(super) newer: u64,
    /// Those that were there and were never seen, since somebody else has leased them.
    pub(super) hidden: u64,
    /// How many there were by the queue's own count, where that is more than were seen.
    pub(super) of_about: Option<u64>,
}

impl Tally {
    pub(super) fn count(&mut self, treatment: Treatment) {
        self.seen += 1;
        match treatment {
            Treatment::Done => self.done += 1,
            Treatment::NotChosen => self.not_chosen += 1,
            Treatment::NotAskedAbout => self.not_asked_about += 1,
            Treatment::Skipped(reason) => *self.skipped.entry(reason).or_default() += 1,
        }
    }

    /// Counts a message among those that a pattern for details could not see through.
    pub(super) fn count_unreadable(
        &mut self,
        choice: &Choice<'_>,
        treatment: Treatment,
        unreadable: Option<&str>,
    ) {
        let is_passed_over = treatment == Treatment::NotChosen && choice.which.detail.is_some();
        self.unreadable += u64::from(is_passed_over && unreadable.is_some());
    }

    fn reasons(&self) -> String {
        let reasons: Vec<_> =
            self.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.join(", ")
    }

    /// Prints it. A dry run has messages that are foreseen.
    pub(super) fn report(
        &self,
        choice: &Choice<'_>,
        verb: &'static str,
        foreseen: Option<&Foreseen<'_>>,
        format: Format,
    ) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Report<'a> {
            queue: String,
            poison_queue: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<String>,
            verb: &'static str,
            seen: u64,
            messages: u64,
            not_chosen: u64,
            not_asked_about: u64,
            unreadable: u64,
            skipped: &'a BTreeMap<&'static str, u64>,
            newer: u64,
            hidden: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            approximate_count: Option<u64>,
            dry_run: bool,
            #[serde(flatten)]
            foreseen: Option<&'a Foreseen<'a>>,
        }
        let dry_run = foreseen.is_some();
        let (queue, poison_queue) = (choice.queue.to_string(), choice.poison.to_string());
        let to = choice.to.map(ToString::to_string);
        let at_least = if self.of_about.is_some() { "at least " } else { "" };
        let done = if dry_run { format!("{at_least}{}", self.done) } else { self.done.to_string() };
        let name = if dry_run { format!("would be {verb}") } else { verb.to_owned() };
        let looked_at = match self.of_about {
            Some(count) => format!("{} of about {count}", self.seen),
            None => self.seen.to_string(),
        };
        let mut fields =
            vec![("queue".to_owned(), queue.clone()), ("poison queue".to_owned(), poison_queue.clone())];
        fields.extend(to.iter().map(|to| ("to".to_owned(), to.clone())));
        fields.extend([(name, done), ("looked at".to_owned(), looked_at)]);
        let more = [
            ("not chosen", self.not_chosen),
            ("not asked about", self.not_asked_about),
            ("newer", self.newer),
            ("leased by others", self.hidden),
        ];
        fields.extend(
            more.iter()
                .filter(|(_, count)| *count > 0)
                .map(|(name, count)| ((*name).to_owned(), count.to_string())),
        );
        if !self.skipped.is_empty() {
            let name = if dry_run { "would be skipped" } else { "skipped" };
            fields.push((name.to_owned(), self.reasons()));
        }
        let report = Report {
            queue,
            poison_queue,
            to,
            verb,
            seen: self.seen,
            messages: self.done,
            not_chosen: self.not_chosen,
            not_asked_about: self.not_asked_about,
            unreadable: self.unreadable,
            skipped: &self.skipped,
            newer: self.newer,
            hidden: self.hidden,
            approximate_count: self.of_about,
            dry_run,
            foreseen,
        };
        if let (Some(foreseen), Format::Table) = (foreseen, format) {
            foreseen.print()?;
        }
        print::fields(&fields, &report, format)?;
        note_unreadable(self.unreadable);
        Ok(())
    }

    /// Whether everything that was chosen is done. The error says what stays and what to do about
    /// it.
    pub(super) fn complete(&self, choice: &Choice<'_>, verb: &str) -> Result<(), Failure> {
        let mut left = Vec::new();
        if !self.skipped.is_empty() {
            let (skipped, reasons) = (self.skipped.values().sum::<u64>(), self.reasons());
            left.push(match skipped {
                1 => format!("1 chosen message was not {verb} and stays: {reasons}"),
                _ => format!("{skipped} chosen messages were not {verb} and stay: {reasons}"),
            });
        }
        if !choice.which.ids.is_empty() && self.done == 0 && self.skipped.is_empty() {
            left.push(format!("no message of these ids was there: nothing was {verb}"));
        }
        if self.hidden > 0 {
            let (are, leases) =
                if self.hidden == 1 { ("is", "its lease has") } else { ("are", "their leases have") };
            left.push(format!(
                "{} more {are} leased by somebody else, perhaps by a redrive that was killed; run this again when {leases} ended",
                self.hidden
            ));
        }
        if self.skipped.keys().any(|reason| reason.ends_with("-queue")) {
            left.push("--any-queue takes those of other queues as well".into());
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(Failure::other(format!("{}: {}", choice.poison, left.join("; "))))
    }
}

/// So many messages, in words.
pub(super) fn messages(count: u64) -> String {
    format!("{count} {}", if count == 1 { "message" } else { "messages" })
}

/// Says of how many messages a pattern for details could not see the detail.
pub(super) fn note_unreadable(count: u64) {
    if count > 0 {
        print::note(&format!(
            "{} cannot be read, so that nothing tells the detail: --detail did not choose what its pattern may mean",
            messages(count)
        ));
    }
}
