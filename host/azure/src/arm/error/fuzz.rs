//! Arbitrary bytes as what ARM says in a refusal.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{ArmRefusal, WORDS};

const REFUSAL_TARGET: &str = "arm-refusal";

#[test]
fn whatever_arm_refuses_with_it_is_said_in_one_short_line() {
    let target = FuzzTarget::of_texts(
        REFUSAL_TARGET,
        module_path!(),
        &["\"error\":{", "\"code\":", "\"message\":", "null", "\\u001b[31m", "\\n", "[", "{"],
        &[
            r#"{"error":{"code":"AuthorizationFailed","message":"The client has no permission.","details":[]}}"#,
            r#"{"code":"JobNotFound","message":"There is no job `orders`."}"#,
            "<html>502 Bad Gateway</html>",
        ],
    );
    feed(&target, |bytes| {
        let refusal = ArmRefusal::read(bytes);
        let line = refusal.words(403);
        assert!(
            line.chars().count() <= WORDS + "HTTP 403 ".len() && !line.contains(char::is_control),
            "{line}"
        );
        format!("{} {}", refusal.code.is_empty(), refusal.message.is_empty())
    });
}
