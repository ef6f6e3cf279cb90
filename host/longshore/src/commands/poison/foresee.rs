//! A dry run: every message is looked at as the verb would, and nothing is done.

use super::choice::Choice;
use super::foreseen::Foreseen;
use super::looked::PoisonLook;
use super::tally::{Tally, Treatment};
use longshore_queue::Specimen;
use longshore_worker::poison::Envelope;

/// What would be done, where `obstacle` says what would not.
pub(super) fn foresee<'m>(
    choice: &Choice<'_>,
    shown: &'m PoisonLook,
    obstacle: impl Fn(&Specimen, &Envelope<'_>) -> Option<&'static str>,
) -> (Tally, Foreseen<'m>) {
    let mut tally = Tally { of_about: shown.of_about, ..Tally::default() };
    let mut foreseen = Foreseen::default();
    for it in &shown.messages {
        if choice.which.limit.is_some_and(|limit| tally.done >= limit) {
            break;
        }
        let envelope = choice.read(&it.message);
        if !choice.matches(&it.message, &envelope) {
            tally.count(Treatment::NotChosen);
            continue;
        }
        let why = obstacle(it, &envelope);
        tally.count(why.map_or(Treatment::Done, Treatment::Skipped));
        foreseen.add(envelope, why);
    }
    (tally, foreseen)
}
