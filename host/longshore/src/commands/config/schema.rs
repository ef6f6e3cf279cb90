//! The JSON Schema of `longshore.toml`, made of the flags ([draft
//! 7](https://json-schema.org/draft-07), which editors of TOML take).

use clap::builder::StyledStr;
use serde_json::{Map, Value, json};

use crate::cli::{BUILD, PROFILES, ProjectKey, ProjectKeys, ValueShape};

/// The schema of a whole file.
pub(super) fn schema(keys: &ProjectKeys) -> Value {
    let mut properties: Map<_, _> = keys.iter().map(|(name, key)| (name.to_owned(), property(key))).collect();
    // A profile takes the same keys.
    let same: Map<_, _> = properties
        .keys()
        .map(|name| (name.clone(), json!({ "$ref": format!("#/properties/{name}") })))
        .collect();
    properties.insert(
        BUILD.into(),
        json!({
            "description": "How the component is built.",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "command": { "description": "What a shell runs to build the component.", "type": "string", "minLength": 1 },
                "sources": {
                    "description": "Files and directories that the component is built from, relative to this file.",
                    "type": "array",
                    "items": { "type": "string", "minLength": 1 },
                },
            },
        }),
    );
    properties.insert(
        PROFILES.into(),
        json!({
            "description": "Keys that replace those above where `--profile NAME` or LONGSHORE_PROFILE chooses them.",
            "type": "object",
            "additionalProperties": { "type": "object", "additionalProperties": false, "properties": same },
        }),
    );
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "longshore.toml",
        "description": "Flags of longshore, written down beside a handler.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn property(key: &ProjectKey) -> Value {
    let arg = key.arg();
    let text = json!({ "type": "string" });
    let mut schema = match key.shape() {
        ValueShape::Switch => json!({ "type": "boolean" }),
        ValueShape::Number => json!({ "type": "integer", "minimum": 0 }),
        ValueShape::Text => text,
        ValueShape::List => json!({ "type": "array", "items": text }),
        ValueShape::Table => json!({
            "type": ["object", "array"],
            "additionalProperties": { "type": ["string", "number", "boolean"] },
            "items": text,
        }),
    };
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(StyledStr::to_string);
    schema["description"] = help.unwrap_or_default().into();
    if key.shape() == ValueShape::Text {
        let choices: Vec<_> = arg.get_possible_values().iter().map(|it| it.get_name().to_owned()).collect();
        if !choices.is_empty() {
            schema["enum"] = choices.into();
        }
    }
    let default = arg.get_default_values().first().and_then(|it| it.to_str());
    if let Some(default) = default {
        schema["default"] = match key.shape() {
            ValueShape::Switch => Value::from(default == "true"),
            ValueShape::Number => default.parse::<u64>().map_or(Value::Null, Value::from),
            _ => default.into(),
        };
    }
    schema
}
