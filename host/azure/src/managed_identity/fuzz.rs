//! Arbitrary bytes as the answer of an identity endpoint. What is said of it never has the proof in
//! it that the endpoint was asked with.

use azure_core::time::OffsetDateTime;
use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{FAR, MAX_WORDS, read, words};

const ANSWER_TARGET: &str = "identity-answer";
const PROOF: &str = "proof-of-this-host";

#[test]
fn whatever_an_identity_endpoint_answers_it_is_a_token_or_refused_without_its_proof() {
    let target = FuzzTarget::of_texts(
        ANSWER_TARGET,
        module_path!(),
        &[
            "\"access_token\":",
            "\"expires_on\":",
            "\"expires_in\":",
            "\"error\":{",
            "\"message\":",
            "\"error_description\":",
            PROOF,
            "null",
            "[",
            "{",
            "\"-1\"",
            "1e300",
            "NaN",
            "\"inf\"",
            "\\u0000",
            "\\ud800",
        ],
        &[
            r#"{"access_token":"secret","expires_on":"1790003600","resource":"r","token_type":"Bearer"}"#,
            r#"{"access_token":"secret","client_id":"c","expires_in":3599,"expires_on":1790003600.5}"#,
            r#"{"error":"invalid_request","error_description":"asked with proof-of-this-host"}"#,
            r#"{"statusCode":400,"message":"No identity","correlationId":"c"}"#,
            r#"{"error":{"code":"Unauthorized","message":"no proof-of-this-host"}}"#,
        ],
    );
    let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    feed(&target, |bytes| {
        let said = words(bytes, Some(PROOF));
        assert!(!said.contains(PROOF) && said.chars().count() <= MAX_WORDS + 3, "{said}");
        match read(bytes, now) {
            Ok(token) => {
                assert!(!token.token.secret().is_empty());
                format!(
                    "a token {} {} {}",
                    said.is_empty(),
                    token.expires_on > now,
                    token.expires_on > now + FAR
                )
            }
            Err(cause) => format!("{} {cause}", said.is_empty()),
        }
    });
}
