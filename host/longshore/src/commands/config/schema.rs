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
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(StyledStr::to_string).unwrap_or_default();
    // Clap takes the last full stop away.
    let end = if help.ends_with(char::is_alphanumeric) { "." } else { "" };
    schema["description"] = format!("{help}{end}").into();
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

#[cfg(test)]
mod tests {
    use boon::{Compiler, Draft, SchemaIndex, Schemas};
    use clap::CommandFactory;
    use serde_json::{Value, json};
    use toml::de::{DeTable, DeValue};

    use super::schema;
    use crate::cli::{Cli, ProjectKeys};

    /// The schema, compiled by a validator that is not ours.
    struct Judge(Schemas, SchemaIndex);

    impl Judge {
        fn new() -> Self {
            let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
            compiler.set_default_draft(Draft::V7);
            compiler.add_resource("longshore.json", schema(&ProjectKeys::of(&Cli::command()))).unwrap();
            let index = compiler.compile("longshore.json", &mut schemas).unwrap();
            Self(schemas, index)
        }

        /// What it says of a file.
        fn verdict(&self, text: &str) -> Result<(), String> {
            let table = DeTable::parse(text).unwrap();
            let value = json_of(&DeValue::Table(table.into_inner()));
            self.0.validate(&value, self.1).map_err(|error| format!("{error:#}"))
        }
    }

    fn json_of(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => json!(number.as_str().parse::<i64>().unwrap()),
            DeValue::Float(number) => json!(number.as_str().parse::<f64>().unwrap()),
            DeValue::Boolean(is_on) => json!(is_on),
            DeValue::Datetime(time) => json!(time.to_string()),
            DeValue::Array(items) => items.iter().map(|it| json_of(it.get_ref())).collect(),
            DeValue::Table(table) => {
                let members =
                    table.iter().map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref())));
                Value::Object(members.collect())
            }
        }
    }

    #[test]
    fn the_schema_takes_what_the_host_takes_and_refuses_its_mistakes() {
        let judge = Judge::new();
        for good in [
            "",
            "queue = 'file:./queues/orders'\ncomponent = 'o.wasm'\nmemory = 64\nforever = true\nlease = 'renew'",
            "deadline = '10s'\nallow-http = ['a.example']\nconfig = ['a=b']\n[outbox]\na = 'file:./q/more'",
            "[config]\na = 'b'\nc = 3\nd = true\ne = 0.5\n[build]\ncommand = 'make'\nsources = ['src']",
            "[profile.azure]\nqueue = 'https://account.queue.core.windows.net/orders'\n[profile.azure.config]\na = 'b'",
        ] {
            judge.verdict(good).unwrap();
        }
        for (bad, words) in [
            ("max-deqeue = 5", "max-deqeue"),
            ("memory = '64'", "want integer"),
            ("memory = -1", "memory"),
            ("deadline = 30", "want string"),
            ("forever = 1", "want boolean"),
            ("lease = 'renwe'", "lease"),
            ("allow-http = 'a.example'", "want array"),
            ("allow-http = [3]", "want string"),
            ("config = 'a=b'", "config"),
            ("[outbox]\na = ['file:./q/more']", "outbox"),
            ("[profile.azure]\nmax-deqeue = 5", "max-deqeue"),
            ("[profile.azure]\nmemory = '64'", "want integer"),
            ("[profile.azure.build]\ncommand = 'make'", "build"),
            ("[build]\ncomand = 'make'", "comand"),
            ("[limits]\nmemory = 64", "limits"),
        ] {
            let said = judge.verdict(bad).expect_err(bad);
            assert!(said.contains(words), "{bad}: {said}");
        }
    }

    #[test]
    fn each_key_has_a_description_a_type_and_its_default() {
        let schema = schema(&ProjectKeys::of(&Cli::command()));
        for (key, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].as_str().is_some_and(|it| it.len() > 10), "{key}: {property}");
            assert!(!property["type"].is_null(), "{key}: {property}");
        }
        let of = |key: &str| &schema["properties"][key];
        assert_eq!((&of("memory")["default"], &of("deadline")["default"]), (&json!(128), &json!("30s")));
        assert_eq!(of("lease")["enum"], json!(["auto", "renew", "fixed"]));
        assert_eq!(of("lease")["default"], "auto");
        assert_eq!(of("queue")["default"], Value::Null);
    }
}
