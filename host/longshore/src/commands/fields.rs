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
    let duration = |time: Duration| humantime::format_duration(time).to_string();
    let (name, value) = if let Some(name) = name.strip_suffix("_ms") {
        (name, shown(value, &|number| duration(Duration::from_millis(number))))
    } else if let Some(name) = name.strip_suffix("_us") {
        (name, shown(value, &|number| duration(Duration::from_micros(number))))
    } else if let Some(name) = name.strip_suffix("_bytes") {
        (name, shown(value, &|number| format!("{} KiB", number >> 10)))
    } else {
        (name, shown(value, &|number| number.to_string()))
    };
    (name.replace('_', " "), value)
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

    use super::fields_of;

    #[test]
    fn a_summary_is_printed_whole_in_its_order_and_with_its_units() {
        let summary = Summary {
            received: 3,
            completed: 1,
            poisoned: 2,
            duration_ms: 1250,
            poison_reasons: [("rejected", 2)].into(),
            handler_us: Percentiles { p50: 1500, p95: 1500, p99: 2_000_000 },
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
                "duration: 1s 250ms",
                "poison reasons: rejected 2",
                "handler: p50 1ms 500us, p95 1ms 500us, p99 2s",
                "cpu: p50 0s, p95 0s, p99 0s",
                "peak memory: p50 1024 KiB, p95 1024 KiB, p99 2048 KiB",
            ]
        );
    }
}
