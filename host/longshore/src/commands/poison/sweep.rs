//! Going once through what a poison queue holds now.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep, sleep_until};

use super::super::again;
use super::super::stop_signals::StopSignals;
use super::choice::Choice;
use super::tally::{Tally, Treatment};
use crate::exit::Failure;
use longshore_queue::{Horizon, MAX_RECEIVE, Queue, QueueError, Receipt, Received};
use longshore_worker::poison::Envelope;

/// For how long messages are leased while they are looked through. Those that stay come round when
/// it is over.
const LEASE: Duration = Duration::from_secs(60);
/// For how long what somebody else has leased is awaited: a redrive that was killed had leased it
/// as long.
const PATIENCE: Duration = Duration::from_secs(70);
/// How often it is looked whether it is visible.
const LOOK: Duration = Duration::from_secs(1);
/// After how many messages in a row that are left alone the sweep ends. Where they are newer,
/// nothing older is expected: services keep the order roughly.
const MAX_LEFT_IN_A_ROW: usize = 256;
/// How many messages are released at once.
const MAX_RELEASES_IN_FLIGHT: usize = 16;

/// What a sweep may take, as it was before somebody was asked about it.
pub(super) struct SweepBounds {
    /// What was there.
    pub(super) horizon: Horizon,
    /// The queue's own count.
    pub(super) counted: u64,
    /// No more than this: what somebody was asked about.
    pub(super) at_most: Option<u64>,
}

/// What a sweep came to.
pub(super) struct Swept {
    pub(super) tally: Tally,
    /// What ended it early.
    pub(super) ended: Option<Failure>,
}

/// Leases every message once that is within the bounds, does something to the chosen ones, and
/// releases those that stay.
pub(super) async fn sweep(
    poison: &dyn Queue,
    choice: &Choice<'_>,
    bounds: SweepBounds,
    pace: Option<Duration>,
    bar: ProgressBar,
    act: impl AsyncFn(&Received, Envelope<'_>) -> Result<Treatment, QueueError>,
) -> Result<Swept, Failure> {
    let mut sweep = Sweep::begin(poison, choice, bounds, pace)?;
    let ended = sweep.run(&bar, &act).await.err();
    sweep.release().await;
    bar.finish_and_clear();
    Ok(Swept { tally: sweep.tally, ended })
}

struct Sweep<'a> {
    poison: &'a dyn Queue,
    choice: &'a Choice<'a>,
    pace: Option<Duration>,
    bounds: SweepBounds,
    tally: Tally,
    /// What was looked at, by key. Ids are used again, and are no keys.
    seen: HashSet<String>,
    /// What is leased and stays, by key: its id and its newest receipt.
    held: HashMap<String, (String, Receipt)>,
    next: Instant,
    stop: StopSignals,
}

impl<'a> Sweep<'a> {
    fn begin(
        poison: &'a dyn Queue,
        choice: &'a Choice<'a>,
        bounds: SweepBounds,
        pace: Option<Duration>,
    ) -> Result<Self, Failure> {
        let stop = StopSignals::listen()?;
        Ok(Self {
            poison,
            choice,
            pace,
            bounds,
            tally: Tally::default(),
            seen: HashSet::new(),
            held: HashMap::new(),
            next: Instant::now(),
            stop,
        })
    }

    /// Ends when all that was there was seen, at the limit, or at a signal. Behind the bound it
    /// goes on for a while, to count what is left.
    async fn run(
        &mut self,
        bar: &ProgressBar,
        act: &impl AsyncFn(&Received, Envelope<'_>) -> Result<Treatment, QueueError>,
    ) -> Result<(), Failure> {
        let limit = self.choice.which.limit.unwrap_or(u64::MAX);
        let (mut left_in_a_row, mut waits_since) = (0, None);
        while self.tally.done < limit && left_in_a_row < MAX_LEFT_IN_A_ROW {
            let room = u32::try_from(limit - self.tally.done).unwrap_or(u32::MAX).min(MAX_RECEIVE);
            // With a pace, one at a time: what is leased must not wait longer than its lease.
            let ask = if self.pace.is_some() { 1 } else { room };
            let batch = self.unless_stopped(receive(self.poison, ask)).await??;
            if batch.is_empty() && self.room() == 0 {
                return Ok(());
            }
            if batch.is_empty() {
                self.tally.hidden = self.hidden().await?;
                let since = *waits_since.get_or_insert(Instant::now());
                if self.tally.hidden == 0 || since.elapsed() > PATIENCE {
                    return Ok(());
                }
                if since.elapsed() < LOOK {
                    tracing::info!(
                        messages = self.tally.hidden,
                        "waiting for messages that somebody else has leased"
                    );
                }
                self.unless_stopped(sleep(LOOK)).await?;
                continue;
            }
            let mut batch = self.fresh(batch);
            if batch.is_empty() || self.room() == 0 {
                left_in_a_row += usize::try_from(ask).unwrap_or(usize::MAX);
            } else {
                (left_in_a_row, waits_since) = (0, None);
            }
            while !batch.is_empty() {
                // What is not done leaves its room to the next.
                let part = match self.room() {
                    0 => batch.len(),
                    room => batch.len().min(usize::try_from(room).unwrap_or(usize::MAX)),
                };
                let rest = batch.split_off(part);
                if let Err(failure) = self.treat(batch, act).await {
                    rest.into_iter().for_each(|it| self.hold(self.poison.key(&it), it));
                    return Err(failure);
                }
                batch = rest;
            }
            bar.set_position(self.tally.done);
        }
        Ok(())
    }

    /// How many more may be taken.
    fn room(&self) -> u64 {
        self.bounds.at_most.map_or(u64::MAX, |most| most.saturating_sub(self.tally.done))
    }

    /// Those of a batch that are looked at for the first time and were there at the beginning; the
    /// others are held.
    fn fresh(&mut self, batch: Vec<Received>) -> Vec<Received> {
        let mut fresh = Vec::new();
        for received in batch {
            let key = self.poison.key(&received);
            let first = self.seen.insert(key.clone());
            let was_there =
                self.bounds.horizon.holds(&key, received.message.inserted, received.damaged.is_some());
            if first && was_there {
                fresh.push(received);
                continue;
            }
            self.tally.newer += u64::from(first);
            self.hold(key, received);
        }
        fresh
    }

    fn hold(&mut self, key: String, received: Received) {
        self.held.insert(key, (received.message.id, received.receipt));
    }

    async fn treat(
        &mut self,
        batch: Vec<Received>,
        act: &impl AsyncFn(&Received, Envelope<'_>) -> Result<Treatment, QueueError>,
    ) -> Result<(), Failure> {
        let choice = self.choice;
        let envelopes = batch.iter().map(|it| {
            Some(choice.read(&it.message))
                .filter(|envelope| choice.matches(&it.message, it.damaged.as_deref(), envelope))
        });
        let envelopes: Vec<_> = envelopes.collect();
        let (mut stopped, has_room) = (Ok(()), self.room() > 0);
        if let (Some(pace), true) = (self.pace, has_room && envelopes.iter().any(Option::is_some)) {
            stopped = self.unless_stopped(sleep_until(self.next)).await;
            self.next = Instant::now() + pace;
        }
        let fates = match stopped {
            Ok(()) => {
                let acting = batch.iter().zip(envelopes).map(async |(received, envelope)| match envelope {
                    Some(envelope) if has_room => act(received, envelope).await,
                    Some(_) => Ok(Treatment::NotAskedAbout),
                    None => Ok(Treatment::NotChosen),
                });
                join_all(acting).await
            }
            Err(_) => {
                drop(envelopes);
                batch.iter().map(|_| Ok(Treatment::Skipped("interrupted"))).collect()
            }
        };
        let mut failed = None;
        for (received, fate) in batch.into_iter().zip(fates) {
            let fate = fate.unwrap_or_else(|error| {
                failed = Some(error);
                Treatment::Skipped("failed")
            });
            self.tally.count(fate);
            self.tally.count_unreadable(choice, fate, received.damaged.as_deref());
            if fate != Treatment::Done {
                let key = self.poison.key(&received);
                self.hold(key, received);
            }
        }
        stopped?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// How many messages were there at the beginning, are there still, and were not seen.
    async fn hidden(&self) -> Result<u64, Failure> {
        let there = match &self.bounds.horizon {
            Horizon::Keys(keys) => {
                if keys.iter().all(|key| self.seen.contains(key)) {
                    return Ok(0);
                }
                let now = again::ask(async || self.poison.horizon().await).await.answer?;
                let Horizon::Keys(now) = now else { return Ok(0) };
                let unseen = keys.iter().filter(|key| !self.seen.contains(*key) && now.contains(*key));
                // What cannot be read has no key when it is received.
                return Ok((unseen.count() as u64).saturating_sub(self.unreadable()));
            }
            Horizon::Until(_) => again::ask(async || self.poison.approximate_count().await).await.answer?,
        };
        Ok(self
            .bounds
            .counted
            .saturating_sub(self.tally.seen)
            .min(there.saturating_sub(self.held.len() as u64)))
    }

    /// How many were looked at under a key that the queue does not show them with.
    fn unreadable(&self) -> u64 {
        let Horizon::Keys(keys) = &self.bounds.horizon else { return 0 };
        self.seen.iter().filter(|key| key.parse::<i64>().is_err() && !keys.contains(*key)).count() as u64
    }

    async fn unless_stopped<T>(&mut self, doing: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = doing => Ok(done),
            signal = self.stop.next() => {
                Err(Failure::other(format!("stopped by {signal}; what was not done is still there")))
            }
        }
    }

    /// Makes visible again what stays.
    async fn release(&mut self) {
        let poison = self.poison;
        let held: Vec<_> = self.held.drain().map(|(_, held)| held).collect();
        let releasing =
            stream::iter(held).for_each_concurrent(MAX_RELEASES_IN_FLIGHT, async |(id, receipt)| {
                // Should this fail, the end of the lease releases it.
                let _ = poison.update(&id, &receipt, Duration::ZERO).await;
            });
        releasing.await;
    }
}

async fn receive(poison: &dyn Queue, max: u32) -> Result<Vec<Received>, QueueError> {
    again::ask(async || poison.receive(max, LEASE).await).await.answer
}
