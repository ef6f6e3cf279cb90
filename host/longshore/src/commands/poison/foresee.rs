//! A dry run: every message is looked at as the verb would, and nothing is done.

use super::choice::Choice;
use super::foreseen::Foreseen;
use super::stock::Stock;
use super::tally::{Tally, Treatment};
use longshore_queue::Specimen;
use longshore_worker::poison::Envelope;

/// What would be done, where `obstacle` says what would not.
pub(super) fn foresee<'m>(
    choice: &Choice<'_>,
    stock: &'m Stock,
    at_most: Option<u64>,
    obstacle: impl Fn(&Specimen, &Envelope<'_>) -> Option<&'static str>,
) -> (Tally, Foreseen<'m>) {
    let mut tally = Tally { of_about: stock.look.of_about, ..Tally::default() };
    let mut foreseen = Foreseen::until(&stock.horizon);
    for it in &stock.look.messages {
        if choice.which.limit.is_some_and(|limit| tally.done >= limit) {
            break;
        }
        let envelope = choice.read(&it.message);
        if !choice.matches(&it.message, &envelope) {
            tally.count(Treatment::NotChosen);
            continue;
        }
        if at_most.is_some_and(|most| tally.done >= most) {
            tally.count(Treatment::NotAskedAbout);
            continue;
        }
        let why = obstacle(it, &envelope);
        tally.count(why.map_or(Treatment::Done, Treatment::Skipped));
        foreseen.add(envelope, why);
    }
    (tally, foreseen)
}
