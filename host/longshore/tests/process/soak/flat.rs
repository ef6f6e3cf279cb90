//! Whether what is measured stays as it is: an early part of the run beside the last one.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::victim::Ends;
use super::worker::Sample;

const MIB: f64 = 1024.0 * 1024.0;

/// What was seen in a minute, or in a twentieth of a shorter run.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    at: Duration,
    sent: u64,
    deleted: u64,
    waiting: u64,
    /// Samples of the worker that lives, and of the sender.
    worker: Vec<Sample>,
    sender: Vec<Sample>,
    /// From being sent to being deleted, in milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) ends: Ends,
}

impl Row {
    pub(super) const HEAD: &str = "    time      sent   deleted  waiting  worker MiB  files  threads  sender MiB   p50 ms   p99 ms  workers";

    /// Notes what the processes have.
    pub(super) fn look(&mut self, worker: Sample, sender: Sample) {
        self.worker.push(worker);
        self.sender.push(sender);
    }

    /// The row is over.
    pub(super) fn end(&mut self, at: Duration, sent: u64, deleted: u64, waiting: u64) {
        (self.at, self.sent, self.deleted, self.waiting) = (at, sent, deleted, waiting);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = Part::of(std::slice::from_ref(self));
        write!(
            f,
            "{:>7.0}s {:>9} {:>9} {:>8} {:>11.1} {:>6.0} {:>8.0} {:>11.1} {:>8.0} {:>8.0}  {}",
            self.at.as_secs_f64(),
            self.sent,
            self.deleted,
            self.waiting,
            part.memory / MIB,
            part.descriptors,
            part.threads,
            part.sender / MIB,
            self.p50,
            self.p99,
            self.ends,
        )
    }
}

/// The middle of what was measured in a part of the run.
#[derive(Clone, Copy, Debug)]
struct Part {
    memory: f64,
    sender: f64,
    descriptors: f64,
    threads: f64,
    p50: f64,
    p99: f64,
}

impl Part {
    fn of(rows: &[Row]) -> Self {
        let worker = |number: fn(&Sample) -> u64| {
            median(rows.iter().flat_map(|row| &row.worker).map(|it| number(it) as f64))
        };
        Self {
            memory: worker(|it| it.memory),
            sender: median(rows.iter().flat_map(|row| &row.sender).map(|it| it.memory as f64)),
            descriptors: worker(|it| it.descriptors),
            threads: worker(|it| it.threads),
            p50: median(rows.iter().map(|row| row.p50)),
            p99: median(rows.iter().map(|row| row.p99)),
        }
    }

    /// What is measured, by its name.
    fn figures(&self) -> [(&'static str, f64, Figure); 6] {
        [
            ("MiB of the worker", self.memory / MIB, Figure::Memory),
            ("MiB of the sender", self.sender / MIB, Figure::Memory),
            ("files of the worker", self.descriptors, Figure::Count),
            ("threads of the worker", self.threads, Figure::Count),
            ("ms at the 50th percentile", self.p50, Figure::Latency),
            ("ms at the 99th percentile", self.p99, Figure::Latency),
        ]
    }
}

/// Which bound is for a figure.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Memory,
    Count,
    Latency,
}

/// How much larger figures of the last part may be than those of the early one: this many times,
/// and this much more. Without a bound anything goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    memory: (f64, f64),
    count: (f64, f64),
    latency: Option<(f64, f64)>,
}

impl Bounds {
    pub(super) const LONG: Self = Self { memory: (1.1, 8.0), count: (1.0, 4.0), latency: Some((2.0, 50.0)) };
    /// Memory has hardly been used once, and others use the machine.
    pub(super) const SHORT: Self = Self { memory: (1.5, 32.0), count: (1.0, 8.0), latency: None };

    fn most(&self, figure: Figure, early: f64) -> f64 {
        let bound = match figure {
            Figure::Memory => Some(self.memory),
            Figure::Count => Some(self.count),
            Figure::Latency => self.latency,
        };
        bound.map_or(f64::INFINITY, |(times, more)| early * times + more)
    }
}

/// The rows of the early and of the last part, as tenths of the run.
const PARTS: (Range<usize>, Range<usize>) = (1..3, 8..10);

/// The early and the last part of a run.
fn parts(rows: &[Row]) -> [Part; 2] {
    [PARTS.0, PARTS.1].map(|Range { start, end }| {
        let place = |tenth: usize| rows.len() * tenth / 10;
        Part::of(&rows[place(start)..place(end)])
    })
}

/// The figures of both parts, each with its bound.
fn compared(rows: &[Row], bounds: &Bounds) -> Vec<(&'static str, f64, f64, f64)> {
    let [early, last] = parts(rows);
    let pairs = early.figures().into_iter().zip(last.figures());
    pairs.map(|((name, early, of), (_, last, _))| (name, early, last, bounds.most(of, early))).collect()
}

/// What is not flat.
pub(super) fn not_flat(rows: &[Row], bounds: &Bounds) -> Vec<String> {
    let compared = compared(rows, bounds).into_iter().filter(|(_, _, last, most)| last > most);
    let said = compared.map(|(name, early, last, most)| {
        format!("{name}: {early:.1} early, {last:.1} in the end, and {most:.1} are allowed")
    });
    said.collect()
}

/// The figures of both parts in a line.
pub(super) fn summary(rows: &[Row], bounds: &Bounds) -> String {
    let said = compared(rows, bounds)
        .into_iter()
        .map(|(name, early, last, most)| format!("{name} {early:.1} -> {last:.1} (at most {most:.1})"));
    said.collect::<Vec<_>>().join(", ")
}

/// The middle one; 0 of none.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// The 50th and the 99th percentile.
pub(super) fn percentile(mut times: Vec<i64>) -> (f64, f64) {
    times.sort_unstable();
    let at = |hundredth: usize| times.get(times.len() * hundredth / 100).map_or(0.0, |it| *it as f64);
    (at(50), at(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of this many rows, in which the figures are multiplied by that much in its course.
    fn run(grows: impl Fn(&mut Row, f64)) -> Vec<Row> {
        let row = |number: u32| {
            let sample = Sample { memory: 40 << 20, descriptors: 20, threads: 10 };
            let mut row =
                Row { worker: vec![sample; 3], sender: vec![sample; 3], p50: 20.0, ..Row::default() };
            row.p99 = 100.0;
            grows(&mut row, 1.0 + f64::from(number) / 10.0);
            row
        };
        (0..60).map(row).collect()
    }

    #[test]
    fn what_grows_is_found_and_what_varies_is_not() {
        let found = |rows: &[Row]| not_flat(rows, &Bounds::LONG);
        assert_eq!(found(&run(|_, _| {})), Vec::<String>::new());
        let grows = |what: fn(&mut Row, f64)| found(&run(what)).join("; ");
        for (what, words) in [
            (grows(|row, by| row.worker[0].memory = (row.worker[0].memory as f64 * by) as u64), ""),
            (
                grows(|row, by| row.worker.iter_mut().for_each(|it| it.memory = (4e7 * by) as u64)),
                "MiB of the worker",
            ),
            (
                grows(|row, by| row.sender.iter_mut().for_each(|it| it.memory = (4e7 * by) as u64)),
                "MiB of the sender",
            ),
            (
                grows(|row, by| row.worker.iter_mut().for_each(|it| it.descriptors = (10.0 * by) as u64)),
                "files",
            ),
            (
                grows(|row, by| row.worker.iter_mut().for_each(|it| it.threads = (10.0 * by) as u64)),
                "threads",
            ),
            (grows(|row, by| row.p50 = 40.0 * by), "50th"),
            (grows(|row, by| row.p99 = 100.0 * by), "99th"),
        ] {
            assert!(what.contains(words) && what.is_empty() == words.is_empty(), "{words}: {what}");
        }
    }
}
