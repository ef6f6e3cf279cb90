//! Who asks a registry: the identity, a login, or an anonymous caller.

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use azure_core::http::headers::CONTENT_TYPE;
use azure_core::http::{HttpClient, Method, Request};
use longshore_azure::Azure;
use longshore_sandbox::read_file;
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;
use url::form_urlencoded::Serializer;

use super::address::Address;
use super::docker::{self, DockerConfig, Kept};
use super::error::RegistryError;
use super::secret::Secret;

/// The scope of tokens that Azure Container Registry exchanges.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// The user's name that goes with a refresh token of Azure Container Registry
/// ([authentication](https://learn.microsoft.com/azure/container-registry/container-registry-authentication)).
pub(super) const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";
/// How long the exchange of the identity's token may take.
const MAX_EXCHANGE: Duration = Duration::from_secs(20);
/// The largest Docker configuration that is read, in bytes.
const MAX_CONFIG: usize = 1 << 20;
/// What the names of Azure's registries end with, in its clouds.
const AZURE: [&str; 3] = [".azurecr.io", ".azurecr.us", ".azurecr.cn"];

/// Who the host is to a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Login {
    /// A login where there is one (LONGSHORE_REGISTRY_USER, or the Docker configuration); else the
    /// identity, at `*.azurecr.io`; else no login.
    #[default]
    Auto,
    /// The identity that `--credential` names: for an Azure Container Registry.
    Azure,
    /// LONGSHORE_REGISTRY_USER and LONGSHORE_REGISTRY_PASSWORD, for the registry that
    /// LONGSHORE_REGISTRY_HOST names, or what the Docker configuration holds for it.
    Login,
    /// No login.
    Anonymous,
}

/// What is sent, and what it is called in errors.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) secret: Secret,
    pub(super) who: &'static str,
}

impl Login {
    pub(super) async fn credentials(self, address: &Address) -> Result<Credentials, RegistryError> {
        let found = match self {
            Self::Auto | Self::Login => stored(address).await?,
            Self::Azure | Self::Anonymous => None,
        };
        let registry = address.registry();
        match (self, found) {
            (_, Some(secret)) => Ok(Credentials { secret, who: "this login" }),
            (Self::Azure, None) => identity(address).await,
            (Self::Auto, None) if AZURE.iter().any(|suffix| registry.ends_with(suffix)) => {
                identity(address).await
            }
            (Self::Login, None) => Err(RegistryError::NoLogin(format!(
                "there is no login for {registry}; set LONGSHORE_REGISTRY_USER, LONGSHORE_REGISTRY_PASSWORD and LONGSHORE_REGISTRY_HOST={registry}, or log in with Docker"
            ))),
            (Self::Auto | Self::Anonymous, None) => {
                Ok(Credentials { secret: Secret::None, who: "anonymous callers" })
            }
        }
    }
}

/// The login for a registry, from the environment or the Docker configuration.
async fn stored(address: &Address) -> Result<Option<Secret>, RegistryError> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let registry = address.registry();
    match (set("LONGSHORE_REGISTRY_USER"), set("LONGSHORE_REGISTRY_PASSWORD")) {
        (Some(user), Some(password)) => match set("LONGSHORE_REGISTRY_HOST") {
            Some(host) if host.eq_ignore_ascii_case(registry) => {
                return Ok(Some(Secret::Password(user, password)));
            }
            // It is another registry's.
            Some(_) => {}
            // It does not leave this machine.
            None if address.is_local() => return Ok(Some(Secret::Password(user, password))),
            None => {
                return Err(RegistryError::NoLogin(format!(
                    "LONGSHORE_REGISTRY_USER and LONGSHORE_REGISTRY_PASSWORD do not say for which registry they are; if it is {registry}, set LONGSHORE_REGISTRY_HOST={registry}"
                )));
            }
        },
        (None, None) => {}
        _ => {
            return Err(RegistryError::NoLogin(
                "only one of LONGSHORE_REGISTRY_USER and LONGSHORE_REGISTRY_PASSWORD is set; set both, or neither"
                    .into(),
            ));
        }
    }
    let directory =
        set("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")));
    let Some(path) = directory.map(|directory| directory.join("config.json")) else { return Ok(None) };
    let unreadable = |cause: &str| {
        RegistryError::NoLogin(format!(
            "cannot read the logins in {}: {cause}; log in again, or name another place in DOCKER_CONFIG",
            path.display()
        ))
    };
    let text = match read_file(&path, MAX_CONFIG) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the logins of Docker cannot be read, and are not used");
            return Ok(None);
        }
    };
    let kept = DockerConfig::read(&text).and_then(|config| config.login(registry));
    match kept.map_err(|cause| unreadable(&cause))? {
        None => Ok(None),
        Some(Kept::Here(secret)) => Ok(Some(secret)),
        // Not every machine that has the configuration has its helpers, and not every registry
        // wants a login.
        Some(Kept::Helper { program, name }) => {
            Ok(docker::ask(&program, &name).await.unwrap_or_else(|cause| {
                tracing::warn!(
                    cause,
                    registry,
                    "the helper of Docker's logins is of no use, and none of them is sent"
                );
                None
            }))
        }
    }
}

/// The identity's token, exchanged for one of the registry's
/// ([oauth2/exchange](https://learn.microsoft.com/rest/api/containerregistry/authentication/exchange-aad-access-token-for-acr-refresh-token)).
async fn identity(address: &Address) -> Result<Credentials, RegistryError> {
    let who = "the identity";
    let azure = Azure::shared();
    let token =
        azure.tokens(SCOPE).token().await.map_err(|error| RegistryError::NoLogin(error.to_string()))?;
    let registry = address.registry().to_owned();
    let other = |cause: String| RegistryError::Other { registry: address.registry().to_owned(), cause };
    let url = Url::parse(&format!("{}/oauth2/exchange", address.root()));
    let mut request = Request::new(url.map_err(|error| other(error.to_string()))?, Method::Post);
    request.insert_header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = [("grant_type", "access_token"), ("service", &registry), ("access_token", token.secret())];
    request.set_body(Serializer::new(String::new()).extend_pairs(form).finish());
    let exchanging = async {
        let response = azure.http().execute_request(&request).await?;
        Ok::<_, azure_core::Error>((u16::from(response.status()), response.into_body().collect().await?))
    };
    let (status, body) = match timeout(MAX_EXCHANGE, exchanging).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            return Err(RegistryError::Unreachable {
                registry,
                cause: longshore_azure::cause(&error),
                also: "",
            });
        }
        Err(_) => return Err(RegistryError::Silent { registry }),
    };
    if status != 200 {
        // The token is of no more use: the next try has another one.
        azure.tokens(SCOPE).refused(&token);
        return Err(match status {
            400 | 401 => RegistryError::Unauthorized { registry, who },
            _ => RegistryError::status(registry, status, "to the exchange of the identity's token", who),
        });
    }
    #[derive(Deserialize)]
    struct Exchanged {
        refresh_token: String,
    }
    let exchanged: Exchanged = serde_json::from_slice(&body)
        .map_err(|_| other("it exchanged the identity's token for something that is no token; is it an Azure Container Registry?".into()))?;
    Ok(Credentials { secret: Secret::Exchanged(exchanged.refresh_token), who })
}
