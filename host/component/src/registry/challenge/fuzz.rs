//! Arbitrary bytes as a registry's challenge.

use longshore_testkit::fuzz::{FuzzTarget, feed};
use url::Url;

use super::{Challenge, is_of_the_same_domain};

const CHALLENGE_TARGET: &str = "challenge";

#[test]
fn whatever_a_registry_asks_for_it_is_a_realm_a_password_or_nothing() {
    let target = FuzzTarget::of_texts(
        CHALLENGE_TARGET,
        module_path!(),
        &["Bearer ", "Basic ", "realm=\"", "service=\"", "https://", "\\\"", ", ", "=", "\""],
        &[
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#,
            r#"Basic realm="a", Bearer realm="https://r.example/t""#,
            "Negotiate YII=",
        ],
    );
    let registry = Url::parse("https://registry-1.docker.io").unwrap();
    feed(&target, |bytes| {
        let header = String::from_utf8_lossy(bytes);
        match Challenge::read(&header) {
            Some(Challenge::Bearer { realm, service }) => {
                let shown = is_of_the_same_domain(&registry, &realm);
                assert!(!shown || realm.scheme() == "https", "{realm}");
                format!("a realm {shown} {} {}", realm.scheme(), service.is_some())
            }
            Some(Challenge::Basic) => "a password".into(),
            None => "nothing".into(),
        }
    });
}
