//! The logins in a Docker configuration, and those that its helpers keep
//! ([docker login](https://docs.docker.com/reference/cli/docker/login/),
//! [protocol of helpers](https://github.com/docker/docker-credential-helpers#development)).
//!
//! The crate `docker_credential` is not used. It runs a helper without a limit in time and cannot
//! end it, puts what a helper printed into its errors, and finds no name with a path.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::secret::Secret;

/// How long a helper may take: it may ask a desktop's key ring.
const MAX_HELPER: Duration = Duration::from_secs(10);
/// The most that is read of what a helper prints, in bytes.
const MAX_PRINTED: u64 = 64 << 10;
/// The user's name that stands for a refresh token, in what a helper prints.
const IS_TOKEN: &str = "<token>";
/// What Docker calls its own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// What that registry is called otherwise.
const HUB_NAMES: [&str; 4] =
    ["index.docker.io", "docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DockerConfig {
    auths: HashMap<String, DockerLogin>,
    cred_helpers: HashMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerLogin {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// Where a login is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// In the configuration.
    Here(Secret),
    /// A helper has it, under this name.
    Helper { program: String, name: String },
}

impl DockerConfig {
    /// Reads a configuration. Nothing of it may be in the error: it holds passwords.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text)
            .map_err(|error| format!("it is not what Docker writes (line {})", error.line()))
    }

    /// Where the login for a registry is, if there is one: first with a helper of its own, then in
    /// the file, then in the store for all.
    pub(super) fn login(&self, registry: &str) -> Result<Option<Kept>, String> {
        let wanted = host_of(registry);
        let helper = |program: &str, name: &str| {
            Some(Kept::Helper { program: program.to_owned(), name: name.to_owned() })
        };
        let own = best(self.cred_helpers.iter(), &wanted).filter(|(_, program)| !program.is_empty());
        if let Some((name, program)) = own {
            return Ok(helper(program, name));
        }
        let kept = self.auths.iter().filter(|(_, login)| login.is_something());
        if let Some((_, login)) = best(kept, &wanted) {
            let damaged = || format!("what it holds for {registry} is no login");
            return login.secret().ok_or_else(damaged).map(|secret| Some(Kept::Here(secret)));
        }
        if self.creds_store.is_empty() {
            return Ok(None);
        }
        // A store knows the registry by the name under which it was logged in to.
        let name = best(self.auths.iter(), &wanted).map(|(name, _)| name.as_str());
        let usual = if wanted == HUB_NAMES[0] { DOCKER_HUB } else { registry };
        Ok(helper(&self.creds_store, name.unwrap_or(usual)))
    }
}

/// The entry for a registry: the exact name, else one with a scheme or a path.
fn best<'a, T>(
    entries: impl Iterator<Item = (&'a String, &'a T)>,
    wanted: &str,
) -> Option<(&'a String, &'a T)> {
    entries.filter(|(name, _)| host_of(name) == *wanted).min_by_key(|(name, _)| (name.len(), (*name).clone()))
}

/// The host of a name in the configuration, which may have a scheme and a path: in lower case, and
/// one name for Docker's own.
fn host_of(name: &str) -> String {
    let name = name.trim();
    let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    if HUB_NAMES.contains(&host.as_str()) { HUB_NAMES[0].to_owned() } else { host }
}

impl DockerLogin {
    fn is_something(&self) -> bool {
        [&self.auth, &self.username, &self.identitytoken].into_iter().any(|it| !it.is_empty())
    }

    /// A refresh token goes before a password, which is empty then or stands for nothing.
    fn secret(&self) -> Option<Secret> {
        if !self.identitytoken.is_empty() {
            return Some(Secret::Refresh(self.identitytoken.clone()));
        }
        if self.auth.is_empty() {
            return Some(Secret::Password(self.username.clone(), self.password.clone()));
        }
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = GeneralPurpose::new(&alphabet::STANDARD, config).decode(self.auth.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        // Docker pads with zeros.
        Some(Secret::Password(user.to_owned(), password.trim_end_matches('\0').to_owned()))
    }
}

/// Asks a helper. `None` if it has no login of that name.
///
/// # Errors
/// It cannot be run, does not end, or prints something else. Nothing of what it printed is in it.
pub(super) async fn ask(program: &str, name: &str) -> Result<Option<Secret>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Printed {
        username: String,
        secret: String,
    }
    let plain = program.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let program = format!("docker-credential-{program}");
    if !plain {
        return Err(format!("`{program}` is no name of a program"));
    }
    let asking = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read it may answer all the same.
            let _ = stdin.write_all(name.as_bytes()).await;
        }
        let mut printed = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_PRINTED).read_to_end(&mut printed).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, printed))
    };
    let (status, printed) = match timeout(MAX_HELPER, asking).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return Err(format!("{program} cannot be run: {error}")),
        Err(_) => return Err(format!("{program} does not answer within {} s", MAX_HELPER.as_secs())),
    };
    if !status.success() {
        let none = String::from_utf8_lossy(&printed).contains("credentials not found");
        return if none { Ok(None) } else { Err(format!("{program} failed: {status}")) };
    }
    let printed: Printed = serde_json::from_slice(&printed)
        .map_err(|_| format!("{program} printed something else than a login"))?;
    Ok(Some(match printed.username.as_str() {
        IS_TOKEN => Secret::Refresh(printed.secret),
        user => Secret::Password(user.to_owned(), printed.secret),
    }))
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Option<Kept> {
        Some(Kept::Here(Secret::Password(user.to_owned(), password.to_owned())))
    }

    fn refresh(token: &str) -> Option<Kept> {
        Some(Kept::Here(Secret::Refresh(token.to_owned())))
    }

    fn helper(program: &str, name: &str) -> Option<Kept> {
        Some(Kept::Helper { program: program.to_owned(), name: name.to_owned() })
    }

    #[test]
    fn a_login_is_found_in_every_form_that_docker_and_others_write() {
        // `ann:pass:word`, and `00000000-0000-0000-0000-000000000000:`
        let config = DockerConfig::read(
            br#"{"auths": {
                "https://r.example/": {"auth": "YW5uOnBhc3M6d29yZA=="},
                "unpadded.example": {"auth": "YW5uOnBhc3M6d29yZA"},
                "plain.example": {"username": "ann", "password": "word"},
                "https://index.docker.io/v1/": {"auth": "YW5uOnBhc3M6d29yZA=="},
                "path.example/team/order": {"auth": "YW5uOnBhc3M6d29yZA=="},
                "http://port.example:5000/v2/": {"auth": "YW5uOnBhc3M6d29yZA=="},
                "acr.example": {"auth": "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==", "identitytoken": "refresh"},
                "bare.example": {"identitytoken": "refresh"},
                "helped.example": {}
            }}"#,
        )
        .unwrap();
        let ann = || password("ann", "pass:word");
        for (registry, expected) in [
            ("r.example", ann()),
            ("R.Example", ann()),
            ("unpadded.example", ann()),
            ("plain.example", password("ann", "word")),
            ("index.docker.io", ann()),
            ("docker.io", ann()),
            ("registry-1.docker.io", ann()),
            ("path.example", ann()),
            ("port.example:5000", ann()),
            ("port.example", None),
            ("acr.example", refresh("refresh")),
            ("bare.example", refresh("refresh")),
            ("helped.example", None),
            ("example", None),
        ] {
            assert_eq!(config.login(registry).unwrap(), expected, "{registry}");
        }
    }

    #[test]
    fn helpers_are_asked_under_the_name_that_was_logged_in_to() {
        let config = DockerConfig::read(
            br#"{"auths": {"https://seen.example": {}, "here.example": {"auth": "YW5uOnBhc3M6d29yZA=="}},
                "credHelpers": {"own.example": "acr-env", "docker.io": "hub"}, "credsStore": "desktop"}"#,
        )
        .unwrap();
        for (registry, expected) in [
            ("own.example", helper("acr-env", "own.example")),
            ("index.docker.io", helper("hub", "docker.io")),
            ("seen.example", helper("desktop", "https://seen.example")),
            ("new.example", helper("desktop", "new.example")),
            ("here.example", password("ann", "pass:word")),
        ] {
            assert_eq!(config.login(registry).unwrap(), expected, "{registry}");
        }
        let hub = DockerConfig::read(br#"{"credsStore": "desktop"}"#).unwrap();
        assert_eq!(hub.login("docker.io").unwrap(), helper("desktop", DOCKER_HUB));
    }

    #[test]
    fn a_damaged_configuration_is_never_quoted() {
        for damaged in [
            &br#"{"auths": {"r.example": {"auth": "c2VjcmV0"}}}"#[..],
            b"{\"auths\": \"c2VjcmV0\"}",
            b"secret",
        ] {
            let cause = DockerConfig::read(damaged).and_then(|it| it.login("r.example")).unwrap_err();
            assert!(!cause.contains("secret") && !cause.contains("c2VjcmV0"), "{cause}");
        }
        assert_eq!(DockerConfig::read(b"{}").unwrap().login("r.example").unwrap(), None);
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_is_named_and_one_with_a_path_is_not_run() {
        let missing = ask("that-nobody-has", "r.example").await.unwrap_err();
        assert!(missing.contains("docker-credential-that-nobody-has cannot be run"), "{missing}");
        assert!(ask("../../bin/sh", "r.example").await.unwrap_err().contains("no name of a program"));
    }
}
