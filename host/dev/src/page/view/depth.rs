//! How deep the queue is, over time, and what KEDA made of it.

use std::fmt::Write;

use maud::{Markup, html};

use super::marks::card;
use crate::history::Depth;
use crate::page::board::Board;
use crate::page::snapshot::Snapshot;
use crate::page::text::{AsText, lasted, number, time};

/// The size of the picture, in its own units: it is stretched to the width that there is.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 140.0;
/// How many points a line has at most.
const MAX_POINTS: usize = 300;
/// The shortest time that the picture shows, in milliseconds.
const SHORTEST_MS: i64 = 60_000;

/// The picture of the queue, with the sum of the last poll in words.
pub(super) fn queue(board: &Board, snapshot: &Snapshot) -> Markup {
    let content = html! {
        (sum(board, snapshot))
        (picture(&snapshot.depths, snapshot.at_ms))
        @if !board.names.about.is_empty() {
            details #about {
                summary { "What the job is told" }
                ul { @for line in &board.names.about { li { (AsText(line)) } } }
            }
        }
    };
    card("queue", "Queue", &html! {}, &content)
}

fn sum(board: &Board, snapshot: &Snapshot) -> Markup {
    let Some(poll) = board.names.poll else { return html! {} };
    html! {
        @if let Some((words, at_ms)) = &snapshot.now.poll {
            @let poll_ms = i64::try_from(poll.as_millis()).unwrap_or(i64::MAX);
            @let next = at_ms.saturating_add(poll_ms).saturating_sub(snapshot.at_ms).max(0);
            p.sum { span.sum-words { (AsText(words)) } }
            p.quiet { "KEDA looked at " (time(*at_ms)) ", and looks again in " (next.saturating_add(999) / 1000) " s." }
        } @else {
            p.quiet { "KEDA has not looked yet." }
        }
    }
}

/// One line of the picture.
struct Line {
    name: &'static str,
    values: Vec<(i64, u64)>,
}

fn picture(depths: &[Depth], now_ms: i64) -> Markup {
    let depths = thinned(depths);
    let Some((first, last)) = depths.first().zip(depths.last()) else {
        return html! { p.quiet { "Nothing was counted yet." } };
    };
    let from = first.at_ms.min(now_ms - SHORTEST_MS);
    let line = |name, of: &dyn Fn(&Depth) -> Option<u64>| Line {
        name,
        values: depths.iter().filter_map(|it| Some((it.at_ms, of(it)?))).collect(),
    };
    let lines = [
        line("waiting", &|it| Some(it.visible.unwrap_or(it.messages))),
        line("hidden", &Depth::hidden),
        line("poison", &|it| it.poison),
    ];
    let most = lines.iter().flat_map(|it| &it.values).map(|(_, value)| *value).max().unwrap_or(0);
    let top = rounded_up(most);
    let x = |at: i64| WIDTH * (at - from) as f64 / (now_ms - from).max(1) as f64;
    let y = |value: u64| HEIGHT - HEIGHT * value as f64 / top as f64;
    let words = format!(
        "Messages over the last {}: now {} waiting, {} hidden, {} poison; at most {}.",
        lasted(now_ms - from),
        number(last.visible.unwrap_or(last.messages)),
        last.hidden().map_or_else(|| "an unknown number".to_owned(), number),
        last.poison.map_or_else(|| "an unknown number".to_owned(), number),
        number(most),
    );
    html! {
        figure.depth {
            div.depth-plot {
                div.depth-scale aria-hidden="true" {
                    span { (number(top)) } span { (number(top / 2)) } span { "0" }
                }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(words) {
                    @for part in [0.0, 0.5, 1.0] {
                        line.grid x1="0" x2=(WIDTH) y1=(HEIGHT * part) y2=(HEIGHT * part) {}
                    }
                    @for line in &lines {
                        @if line.name == "waiting" {
                            path.area d=(area(&line.values, &x, &y)) {}
                        }
                        polyline.line.{ "line-" (line.name) } points=(points(&line.values, &x, &y)) {}
                    }
                }
            }
            div.depth-times aria-hidden="true" { span { (time(from)) } span { (time(now_ms)) } }
            figcaption.legend {
                @for line in &lines {
                    @let now = line.values.last().map_or_else(|| "–".to_owned(), |(_, value)| number(*value));
                    span.legend-part { span.swatch.{ "swatch-" (line.name) } aria-hidden="true" {} (line.name) " " b { (now) } }
                }
            }
        }
    }
}

/// Fewer points, none of them moved; the newest one stays.
fn thinned(depths: &[Depth]) -> Vec<Depth> {
    let step = depths.len().div_ceil(MAX_POINTS).max(1);
    let from_the_end = depths.iter().rev().step_by(step).copied();
    let mut thinned: Vec<_> = from_the_end.collect();
    thinned.reverse();
    thinned
}

/// 1, 2 or 5 with zeros, and not less than the value.
fn rounded_up(value: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let rounded = unit.saturating_mul(factor);
            // An even number has a half.
            if rounded >= value.max(2) && rounded.is_multiple_of(2) {
                return rounded;
            }
        }
        unit = unit.saturating_mul(10);
        if unit == u64::MAX {
            return unit;
        }
    }
}

fn points(values: &[(i64, u64)], x: &impl Fn(i64) -> f64, y: &impl Fn(u64) -> f64) -> String {
    let mut points = String::new();
    for (at, value) in values {
        // Nothing can fail to be written to a string.
        let _ = write!(points, "{:.1},{:.1} ", x(*at), y(*value));
    }
    points
}

fn area(values: &[(i64, u64)], x: &impl Fn(i64) -> f64, y: &impl Fn(u64) -> f64) -> String {
    let Some((first, last)) = values.first().zip(values.last()) else { return String::new() };
    let mut path = format!("M{:.1},{HEIGHT}", x(first.0));
    for (at, value) in values {
        let _ = write!(path, " L{:.1},{:.1}", x(*at), y(*value));
    }
    let _ = write!(path, " L{:.1},{HEIGHT} Z", x(last.0));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_a_round_number_that_has_a_half() {
        for (value, top) in [(0, 2), (2, 2), (3, 10), (11, 20), (961, 1000), (5001, 10_000), (49, 50)] {
            assert_eq!(rounded_up(value), top, "{value}");
        }
        assert!(rounded_up(u64::MAX) >= u64::MAX / 2);
    }

    #[test]
    fn a_long_history_is_thinned_and_its_newest_sample_is_shown() {
        let depths: Vec<_> = (0..5_000)
            .map(|n| Depth { at_ms: n * 1000, messages: 3, visible: Some(2), poison: None })
            .collect();
        let thinned = thinned(&depths);
        assert!(thinned.len() <= MAX_POINTS && thinned.last() == depths.last());
        let shown = picture(&depths, 5_000_000).into_string();
        assert!(shown.contains("now 2 waiting, 1 hidden, an unknown number poison"), "{shown}");
        assert!(shown.len() < 40_000, "{}", shown.len());
    }
}
