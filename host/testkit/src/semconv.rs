//! The messaging conventions' own published model, against which spans and metrics are held
//! ([semantic-conventions](https://github.com/open-telemetry/semantic-conventions)).

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;

/// An extract of the model. It names its source, version and licence.
const MODEL: &str = include_str!("semconv-1.44.0.json");
/// What the names of our own attributes and metrics begin with.
const OWN: &str = "longshore.";

/// Attributes by name.
pub type Attributes = BTreeMap<String, Value>;

/// What is wrong with a span by the model; empty if nothing is. Spans that are about no messaging
/// have no attribute of its.
pub fn faults_of_span(span: &Span, attributes: &Attributes) -> Vec<String> {
    let model = model();
    let mut faults = faults_of_types(&model, attributes);
    let Some(operation) = attributes.get("messaging.operation.type").and_then(Value::as_str) else {
        let foreign = attributes.keys().filter(|name| name.starts_with("messaging."));
        faults.extend(foreign.map(|name| format!("{name} without messaging.operation.type")));
        return faults;
    };
    let kind = SpanKind::try_from(span.kind).map(|kind| format!("{kind:?}").to_lowercase());
    let kind = kind.unwrap_or_default();
    let defined = format!("messaging.{operation}.{kind}");
    let Some(definition) = model["spans"].get(&defined) else {
        faults.push(format!("there is no {defined}"));
        return faults;
    };
    let mut known = levels(&definition["attributes"]);
    if attributes.get("messaging.system").is_some_and(|it| it == "servicebus") {
        let more = model["of_servicebus"][&defined].as_array().cloned().unwrap_or_default();
        known.extend(
            more.iter().filter_map(Value::as_str).map(|it| (it.to_owned(), "recommended".to_owned())),
        );
    }
    faults.extend(faults_of_names(&known, attributes));
    let word = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = [word("messaging.operation.name"), word("messaging.destination.name")].join(" ");
    if span.name != name {
        faults.push(format!("it is called {}, not {name}", span.name));
    }
    // "If and only if the messaging operation has failed."
    let is_error = span.status.as_ref().is_some_and(|it| it.code == StatusCode::Error as i32);
    if is_error != attributes.contains_key("error.type") {
        faults.push(format!("error.type and the status {:?} say different things", span.status));
    }
    // A receive asks for a batch, and all else is about one message.
    if (operation == "receive") != attributes.contains_key("messaging.batch.message_count") {
        faults.push("messaging.batch.message_count is for batches".into());
    }
    faults
}

/// What is wrong with a metric by the model; empty if nothing is.
pub fn faults_of_metric(found: &Metric, points: &[Attributes]) -> Vec<String> {
    let model = model();
    let mut faults: Vec<_> = points.iter().flat_map(|it| faults_of_types(&model, it)).collect();
    if found.name.starts_with(OWN) {
        return faults;
    }
    let Some(definition) = model["metrics"].get(&found.name) else {
        faults.push(format!("there is no metric {}", found.name));
        return faults;
    };
    let instrument = match &found.data {
        Some(metric::Data::Histogram(_)) => "histogram",
        Some(metric::Data::Sum(sum)) if sum.is_monotonic => "counter",
        _ => "another",
    };
    if (definition["instrument"].as_str(), definition["unit"].as_str())
        != (Some(instrument), Some(&found.unit))
    {
        faults.push(format!("{} is a {instrument} in {}", found.name, found.unit));
    }
    let known = levels(&definition["attributes"]);
    faults.extend(points.iter().flat_map(|it| faults_of_names(&known, it)));
    faults
}

fn model() -> Value {
    serde_json::from_str(MODEL).unwrap()
}

/// The requirement levels of attributes.
fn levels(attributes: &Value) -> BTreeMap<String, String> {
    let of = |(name, level): (&String, &Value)| (name.clone(), level.as_str().unwrap().to_owned());
    attributes.as_object().unwrap().iter().map(of).collect()
}

/// Attributes of ours whose type is another, or whose value is none of those that there are.
fn faults_of_types(model: &Value, attributes: &Attributes) -> Vec<String> {
    let is_fit = |name: &String, value: &Value| match &model["attributes"][name] {
        Value::String(kind) if kind == "string" => value.is_string(),
        Value::String(kind) if kind == "int" => value.is_i64(),
        // Some lists may be added to, and say so in prose only.
        Value::Object(_) if ["messaging.system", "error.type"].contains(&name.as_str()) => value.is_string(),
        Value::Object(list) => list["enum"].as_array().is_some_and(|it| it.contains(value)),
        _ => name.starts_with(OWN),
    };
    let wrong = attributes.iter().filter(|(name, value)| !is_fit(name, value));
    wrong.map(|(name, value)| format!("{name} is {value}")).collect()
}

/// Attributes that the model does not have there, and those that it requires.
fn faults_of_names(known: &BTreeMap<String, String>, attributes: &Attributes) -> Vec<String> {
    let unknown = attributes.keys().filter(|it| !known.contains_key(*it) && !it.starts_with(OWN));
    let mut faults: Vec<_> = unknown.map(|name| format!("{name} does not belong there")).collect();
    // What is required where it is there: a queue always has a name.
    let always = |name: &str, level: &str| level == "required" || name == "messaging.destination.name";
    let missing = known.iter().filter(|(name, level)| always(name, level) && !attributes.contains_key(*name));
    faults.extend(missing.map(|(name, _)| format!("{name} is missing")));
    faults
}
