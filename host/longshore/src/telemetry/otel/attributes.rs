//! What a variable says of who exports.

use opentelemetry::KeyValue;
use percent_encoding::percent_decode_str;

use super::variables::Variables;

/// Who exports, as `NAME=VALUE,NAME=VALUE`.
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The attributes that the variable names, decoded ([Specifying resource information via an
/// environment variable](https://opentelemetry.io/docs/specs/otel/resource/sdk/)). What cannot be
/// read is said, and left out: the rest is better than nothing.
pub(super) fn attributes(variables: &Variables<'_>, said: &mut Vec<String>) -> Vec<KeyValue> {
    let text = variables.get(ATTRIBUTES).unwrap_or_default();
    let decoded = |part: &str| percent_decode_str(part.trim()).decode_utf8().ok().map(String::from);
    let mut attributes = Vec::new();
    for (index, pair) in text.split(',').enumerate().filter(|(_, pair)| !pair.trim().is_empty()) {
        let attribute = pair.split_once('=').and_then(|(name, value)| {
            let name = decoded(name).filter(|name| !name.is_empty())?;
            Some(KeyValue::new(name, decoded(value)?))
        });
        match attribute {
            Some(attribute) => attributes.push(attribute),
            None => said.push(format!(
                "attribute {} of {ATTRIBUTES} cannot be read, and is left out; write it as NAME=VALUE, encoded as in a URL",
                index + 1
            )),
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::otel::variables::found;

    #[test]
    fn attributes_are_decoded_and_one_that_cannot_be_read_is_named_and_takes_no_other_with_it() {
        let set = [(ATTRIBUTES, "team=a%2Cb%3Dc, site = caf%C3%A9 ,alone,,=x,bad=%FF,empty=,a%3Db=1")];
        let (get, mut said) = (|name: &str| found(&set, name), Vec::new());
        let read = attributes(&Variables(&get), &mut said);
        let read: Vec<_> = read.iter().map(|it| (it.key.as_str(), it.value.to_string())).collect();
        let expected = [("team", "a,b=c"), ("site", "caf\u{e9}"), ("empty", ""), ("a=b", "1")];
        assert_eq!(read, expected.map(|(name, value)| (name, value.to_owned())));
        let named: Vec<_> = said.iter().map(|it| it.split(" cannot").next().unwrap()).collect();
        let of = |place: u8| format!("attribute {place} of {ATTRIBUTES}");
        assert_eq!(named, [of(3), of(5), of(6)]);
        assert_eq!(attributes(&Variables(&|_| None), &mut said), []);
    }
}
