//! When a run that is on hold tries again.

use std::time::Duration;

use tokio::time::Instant;

/// The pause before the first probe.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause between probes.
const MAX_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The probes of a hold: the first after 30 s, and each further one after twice as long, up to
/// five minutes.
#[derive(Debug)]
pub struct Probes {
    since: Instant,
    at: Instant,
    pause: Duration,
}

impl Probes {
    /// The probes of a hold that begins now.
    pub fn start(now: Instant) -> Self {
        Self { since: now, at: now + FIRST_PAUSE, pause: FIRST_PAUSE }
    }

    /// When the hold began.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// When the next probe may start.
    pub fn next(&self) -> Instant {
        self.at
    }

    /// A probe failed: the next one is twice as far away as this one was.
    pub fn failed(&mut self, now: Instant) {
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        self.at = now + self.pause;
    }

    /// A probe found nothing to try. The next one follows when something falls `due`, and at the
    /// latest after the first pause: what comes in meanwhile is something else to try.
    pub fn found_nothing(&mut self, now: Instant, due: Option<Instant>) {
        let latest = now + FIRST_PAUSE;
        self.at = due.map_or(latest, |due| due.min(latest));
    }

    /// Something has changed that may end the hold: the next probe may start now.
    pub fn at_once(&mut self, now: Instant) {
        self.at = self.at.min(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_five_minutes() {
        let start = Instant::now();
        let mut probes = Probes::start(start);
        assert_eq!((probes.since(), probes.next()), (start, start + 30 * S));
        let mut at = probes.next();
        for pause in [60, 120, 240, 300, 300] {
            probes.failed(at);
            assert_eq!(probes.next(), at + pause * S);
            at += pause * S;
        }
    }

    #[test]
    fn a_probe_that_found_nothing_waits_for_what_falls_due_and_no_longer_than_the_first_pause() {
        let now = Instant::now();
        let mut probes = Probes::start(now);
        probes.failed(now);
        probes.found_nothing(now, Some(now + 12 * S));
        assert_eq!(probes.next(), now + 12 * S);
        probes.found_nothing(now, Some(now + 900 * S));
        assert_eq!(probes.next(), now + 30 * S);
        probes.found_nothing(now, None);
        assert_eq!(probes.next(), now + 30 * S);
        probes.failed(now);
        assert_eq!(probes.next(), now + 120 * S, "what it found does not start the pauses anew");
    }

    #[test]
    fn a_change_is_probed_at_once_and_never_later_than_before() {
        let now = Instant::now();
        let mut probes = Probes::start(now);
        probes.at_once(now + S);
        assert_eq!(probes.next(), now + S);
        probes.at_once(now + 2 * S);
        assert_eq!(probes.next(), now + S);
    }
}
