//! The fields of a serialised struct, in its order, as people read them.

use std::fmt;
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::exit::Failure;

/// An object's members in their order, which a map does not keep.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The name and value of each field. The end of a name says what it counts: `_ms`, `_us`, `_bytes`.
pub(super) fn fields_of(value: &impl Serialize) -> Result<Vec<(String, String)>, Failure> {
    let Members(members) = serde_json::from_slice(&serde_json::to_vec(value)?)?;
    Ok(members.iter().map(|(name, value)| field(name, value)).collect())
}

fn field(name: &str, value: &Value) -> (String, String) {
    let (name, value) = if let Some(name) = name.strip_suffix("_ms") {
        (name, shown(value, &|number| rounded(Duration::from_millis(number))))
    } else if let Some(name) = name.strip_suffix("_us") {
        (name, shown(value, &|number| rounded(Duration::from_micros(number))))
    } else if let Some(name) = name.strip_suffix("_bytes") {
        (name, shown(value, &|number| format!("{} KiB", number >> 10)))
    } else {
        (name, shown(value, &|number| number.to_string()))
    };
    (name.replace('_', " "), value)
}

/// A duration, to three digits, and to the second from a minute on: `2.3ms`, `1.25s`, `19m 30s`.
fn rounded(time: Duration) -> String {
    let (unit, in_unit) = match time {
        Duration::ZERO => return "0s".into(),
        time if time >= Duration::from_secs(60) => {
            return humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
        }
        time if time >= Duration::from_secs(1) => ("s", time.as_secs_f64()),
        time if time >= Duration::from_millis(1) => ("ms", time.as_secs_f64() * 1e3),
        time => ("us", time.as_secs_f64() * 1e6),
    };
    let decimals = if in_unit < 10.0 {
        100.0
    } else if in_unit < 100.0 {
        10.0
    } else {
        1.0
    };
    format!("{}{unit}", (in_unit * decimals).round() / decimals)
}

/// A value on one line, with its numbers written by `number`.
fn shown(value: &Value, number: &dyn Fn(u64) -> String) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Number(digits) => digits.as_u64().map_or_else(|| digits.to_string(), number),
        Value::Object(members) if members.is_empty() => "none".into(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name} {}", shown(value, number)));
            members.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use longshore_worker::percentiles::Percentiles;
    use longshore_worker::report::Summary;

    use std::time::Duration;

    use super::{fields_of, rounded};

    #[test]
    fn a_duration_has_as_many_digits_as_somebody_reads() {
        for (micros, expected) in [
            (0, "0s"),
            (7, "7us"),
            (999, "999us"),
            (2_303, "2.3ms"),
            (12_345, "12.3ms"),
            (123_456, "123ms"),
            (1_250_000, "1.25s"),
            (59_960_000, "60s"),
            (1_170_123_456, "19m 30s"),
        ] {
            assert_eq!(rounded(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn a_summary_is_printed_whole_in_its_order_and_with_its_units() {
        let summary = Summary {
            received: 3,
            completed: 1,
            poisoned: 2,
            duration_ms: 1250,
            poison_reasons: [("rejected", 2)].into(),
            handler_us: Percentiles { p50: 1500, p95: 2303, p99: 2_000_000 },
            peak_memory_bytes: Percentiles { p50: 1 << 20, p95: 1 << 20, p99: 2 << 20 },
            ..Summary::default()
        };
        let fields = fields_of(&summary).unwrap();
        let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            lines,
            [
                "received: 3",
                "completed: 1",
                "retried: 0",
                "poisoned: 2",
                "abandoned: 0",
                "lease lost: 0",
                "duration: 1.25s",
                "poison reasons: rejected 2",
                "handler: p50 1.5ms, p95 2.3ms, p99 2s",
                "cpu: p50 0s, p95 0s, p99 0s",
                "peak memory: p50 1024 KiB, p95 1024 KiB, p99 2048 KiB",
            ]
        );
    }
}
