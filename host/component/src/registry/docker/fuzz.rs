//! Arbitrary bytes as a configuration of Docker.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{DockerConfig, Kept};

const CONFIG_TARGET: &str = "docker-config";

#[test]
fn whatever_docker_has_written_it_is_a_login_or_none() {
    let target = FuzzTarget::of_texts(
        CONFIG_TARGET,
        module_path!(),
        &[
            "\"auths\":{",
            "\"auth\":",
            "\"credHelpers\":{",
            "\"credsStore\":",
            "\"identitytoken\":",
            "r.example",
            "https://",
            "null",
            "{",
        ],
        &[
            r#"{"auths":{"https://r.example/v2/":{"auth":"dXNlcjpzZWNyZXQ="},"other":{"username":"u","password":"p"}},"credsStore":"desktop"}"#,
            r#"{"auths":{"r.example":{"auth":"dTo=","identitytoken":"t"}},"credHelpers":{"r.example":"pass"}}"#,
        ],
    );
    feed(&target, |bytes| {
        let read = DockerConfig::read(bytes).and_then(|config| config.login("r.example"));
        match read {
            Ok(Some(Kept::Here(_))) => "a login".into(),
            Ok(Some(Kept::Helper { program, .. })) => format!("a helper {}", program.is_empty()),
            Ok(None) => "none".into(),
            Err(cause) => cause,
        }
    });
}
