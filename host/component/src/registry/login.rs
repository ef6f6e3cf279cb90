//! Who asks a registry: the identity, a login, or an anonymous caller.

use std::env;
use std::path::PathBuf;

use azure_core::http::headers::CONTENT_TYPE;
use azure_core::http::{HttpClient, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_azure::Azure;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::address::Address;
use super::error::RegistryError;

/// The scope of tokens that Azure Container Registry exchanges.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// The user's name that goes with a refresh token of Azure Container Registry
/// ([authentication](https://learn.microsoft.com/azure/container-registry/container-registry-authentication)).
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";
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
    /// LONGSHORE_REGISTRY_USER and LONGSHORE_REGISTRY_PASSWORD, or what the Docker configuration
    /// holds for the registry.
    Login,
    /// No login.
    Anonymous,
}

/// What is sent, and what it is called in errors.
pub(super) type Credentials = (RegistryAuth, &'static str);

impl Login {
    pub(super) async fn credentials(self, address: &Address) -> Result<Credentials, RegistryError> {
        let found = match self {
            Self::Auto | Self::Login => stored(address)?,
            Self::Azure | Self::Anonymous => None,
        };
        match (self, found) {
            (_, Some((user, password))) => Ok((RegistryAuth::Basic(user, password), "this login")),
            (Self::Azure, None) => identity(address).await,
            (Self::Auto, None) if AZURE.iter().any(|suffix| address.registry().ends_with(suffix)) => {
                identity(address).await
            }
            (Self::Login, None) => Err(RegistryError::NoLogin(format!(
                "there is no login for {}; set LONGSHORE_REGISTRY_USER and LONGSHORE_REGISTRY_PASSWORD, or name it in the auths of the Docker configuration",
                address.registry()
            ))),
            (Self::Auto | Self::Anonymous, None) => Ok((RegistryAuth::Anonymous, "anonymous callers")),
        }
    }
}

/// The login for a registry, from the environment or the Docker configuration.
fn stored(address: &Address) -> Result<Option<(String, String)>, RegistryError> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    match (set("LONGSHORE_REGISTRY_USER"), set("LONGSHORE_REGISTRY_PASSWORD")) {
        (Some(user), Some(password)) => return Ok(Some((user, password))),
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
    let Ok(text) = std::fs::read(&path) else { return Ok(None) };
    let unreadable = |cause: &str| {
        RegistryError::NoLogin(format!("cannot read the logins in {}: {cause}", path.display()))
    };
    docker(&text, address.registry()).map_err(|cause| unreadable(&cause))
}

/// What the `auths` of a Docker configuration hold for a registry.
fn docker(text: &[u8], registry: &str) -> Result<Option<(String, String)>, String> {
    #[derive(Deserialize)]
    struct DockerConfig {
        #[serde(default)]
        auths: std::collections::HashMap<String, DockerLogin>,
    }
    #[derive(Deserialize)]
    struct DockerLogin {
        #[serde(default)]
        auth: String,
    }
    // Report only the line: the file holds passwords.
    let config: DockerConfig = serde_json::from_slice(text)
        .map_err(|error| format!("it is not what Docker writes (line {})", error.line()))?;
    let entry = config.auths.into_iter().find(|(name, entry)| {
        let name = name.trim_start_matches("https://").trim_end_matches('/');
        name == registry && !entry.auth.is_empty()
    });
    let Some((_, DockerLogin { auth })) = entry else { return Ok(None) };
    let login = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let login = login.as_deref().and_then(|login| login.split_once(':'));
    let (user, password) = login.ok_or_else(|| format!("what it holds for {registry} is no login"))?;
    Ok(Some((user.to_owned(), password.to_owned())))
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
    let unreachable = |error: &_| RegistryError::Unreachable {
        registry: address.registry().to_owned(),
        cause: longshore_azure::cause(error),
    };
    let response = azure.http().execute_request(&request).await.map_err(|error| unreachable(&error))?;
    let status = u16::from(response.status());
    let body = response.into_body().collect().await.map_err(|error| unreachable(&error))?;
    if status != 200 {
        // The token is of no more use: the next try has another one.
        azure.tokens(SCOPE).refused(&token);
        return Err(RegistryError::status(registry, status, "to the exchange of the identity's token", who));
    }
    #[derive(Deserialize)]
    struct Exchanged {
        refresh_token: String,
    }
    let exchanged: Exchanged = serde_json::from_slice(&body)
        .map_err(|_| other("it exchanged the identity's token for something that is no token".into()))?;
    Ok((RegistryAuth::Basic(TOKEN_USER.to_owned(), exchanged.refresh_token), who))
}

#[cfg(test)]
mod tests {
    use super::docker;

    #[test]
    fn the_docker_configuration_is_read_by_registry_and_never_quoted() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        // `ann:pass:word`
        let config =
            br#"{"auths": {"https://r.example/": {"auth": "YW5uOnBhc3M6d29yZA=="}, "helped.example": {}},
            "credsStore": "desktop"}"#;
        assert_eq!(docker(config, "r.example").unwrap(), pair("ann", "pass:word"));
        assert_eq!(docker(config, "helped.example").unwrap(), None);
        assert_eq!(docker(config, "other.example").unwrap(), None);
        assert_eq!(docker(b"{}", "r.example").unwrap(), None);
        for damaged in
            [&br#"{"auths": {"r.example": {"auth": "c2VjcmV0"}}}"#[..], b"{\"auths\": \"c2VjcmV0\"}"]
        {
            let cause = docker(damaged, "r.example").unwrap_err();
            assert!(!cause.contains("secret") && !cause.contains("c2VjcmV0"), "{cause}");
        }
    }
}
