//! One login at a registry, and the calls that need it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method};
use longshore_sandbox::{digest, digits};
use oci_client::manifest::OciDescriptor;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::access::Access;
use super::address::Address;
use super::artifact::{MANIFEST, MANIFESTS};
use super::caller::{Answer, Call, Caller};
use super::challenge::{Challenge, is_of_the_same_domain};
use super::error::RegistryError;
use super::login::{Credentials, TOKEN_USER};
use super::secret::Secret;

/// More pages of tags than that are a registry that goes round in circles.
const MAX_PAGES: usize = 20;
const FORM: &str = "application/x-www-form-urlencoded";

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Pull,
    Push,
}

/// A registry that has accepted who asks.
pub(super) struct Session<'a> {
    caller: Caller,
    address: &'a Address,
    root: Url,
    who: &'static str,
    authorization: Option<HeaderValue>,
}

impl<'a> Session<'a> {
    /// Logs in for reading, or for writing, so that a login that is refused is named before
    /// anything is sent.
    pub(super) async fn begin(
        address: &'a Address,
        access: &Access,
        purpose: Purpose,
    ) -> Result<Self, RegistryError> {
        let Credentials { secret, who } = access.login.credentials(address).await?;
        let (caller, root) = (Caller::new(address)?, address.api()?);
        let mut session = Self { caller, address, root, who, authorization: None };
        let answer = session.caller.call(Call::new(Method::GET, session.root.clone())).await?;
        let challenge = answer.header("www-authenticate").and_then(Challenge::read);
        session.authorization = match (challenge, &secret) {
            (Some(Challenge::Bearer { realm, service }), secret) => {
                Some(session.token(&realm, service.as_deref(), secret, purpose).await?)
            }
            (Some(Challenge::Basic), Secret::Password(user, password)) => {
                let login = session.basic(user, password)?;
                let mut again = Call::new(Method::GET, session.root.clone());
                again.authorization = Some(login.clone());
                let answer = session.caller.call(again).await?;
                if answer.status() == 401 {
                    return Err(session.unauthorized());
                }
                Some(login)
            }
            // The call that follows is refused if it has to be.
            _ => None,
        };
        Ok(session)
    }

    /// A token of the registry's, for this repository.
    async fn token(
        &self,
        realm: &Url,
        service: Option<&str>,
        secret: &Secret,
        purpose: Purpose,
    ) -> Result<HeaderValue, RegistryError> {
        let actions = match purpose {
            Purpose::Pull => "pull",
            Purpose::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.address.repository());
        let may_see = match secret {
            Secret::None => true,
            // What was exchanged for the identity's token is the registry's own business.
            Secret::Exchanged(_) => realm.origin() == self.root.origin(),
            Secret::Password(..) | Secret::Refresh(_) => is_of_the_same_domain(&self.root, realm),
        };
        if !may_see {
            let realm = realm.origin().ascii_serialization();
            return Err(RegistryError::Other {
                registry: self.address.registry().to_owned(),
                cause: format!(
                    "it sends {} to {realm} for a token, where no login for the registry must go; is the registry's name right?",
                    self.who
                ),
            });
        }
        let basic = match secret {
            Secret::None => None,
            Secret::Password(user, password) => Some(self.basic(user, password)?),
            Secret::Exchanged(token) => Some(self.basic(TOKEN_USER, token)?),
            Secret::Refresh(token) => {
                let answer = self.refreshed(realm, service, &scope, token).await?;
                match answer.status() {
                    200 => return self.bearer(answer).await,
                    // A registry that has tokens like Azure's and no such form takes them so.
                    400..=405 => Some(self.basic(TOKEN_USER, token)?),
                    _ => return Err(answer.refusal(self.who).await),
                }
            }
        };
        let mut url = realm.clone();
        url.query_pairs_mut()
            .append_pair("scope", &scope)
            .extend_pairs(service.iter().map(|service| ("service", service)));
        let answer = self.caller.call(Call { authorization: basic, ..Call::new(Method::GET, url) }).await?;
        match answer.status() {
            200 => self.bearer(answer).await,
            400..=428 => Err(self.unauthorized()),
            _ => Err(answer.refusal(self.who).await),
        }
    }

    /// Asks for a token with a refresh token
    /// ([OAuth](https://distribution.github.io/distribution/spec/auth/oauth/)).
    async fn refreshed(
        &self,
        realm: &Url,
        service: Option<&str>,
        scope: &str,
        token: &str,
    ) -> Result<Answer<'_>, RegistryError> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "longshore")
            .append_pair("scope", scope)
            .append_pair("refresh_token", token)
            .extend_pairs(service.iter().map(|service| ("service", service)))
            .finish();
        let body = Some((FORM, form.into()));
        self.caller.call(Call { body, ..Call::new(Method::POST, realm.clone()) }).await
    }

    async fn bearer(&self, answer: Answer<'_>) -> Result<HeaderValue, RegistryError> {
        let body = answer.small().await?;
        // Some answer with both names, which are then the same.
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = ["access_token", "token"].into_iter().find_map(|name| value[name].as_str());
        let header = token.and_then(|token| secret_header(&format!("Bearer {token}")));
        header.ok_or_else(|| self.other("what it answered is no token; look at what stands between".into()))
    }

    fn basic(&self, user: &str, password: &str) -> Result<HeaderValue, RegistryError> {
        let login = STANDARD.encode(format!("{user}:{password}"));
        secret_header(&format!("Basic {login}")).ok_or_else(|| self.unauthorized())
    }

    fn unauthorized(&self) -> RegistryError {
        RegistryError::Unauthorized { registry: self.address.registry().to_owned(), who: self.who }
    }

    fn other(&self, cause: String) -> RegistryError {
        RegistryError::Other { registry: self.address.registry().to_owned(), cause }
    }

    /// A call of the registry's, or of where it says that an upload goes: with the login only to
    /// the registry itself.
    async fn call(&self, call: Call) -> Result<Answer<'_>, RegistryError> {
        let own = call.url.origin() == self.root.origin();
        let authorization = self.authorization.clone().filter(|_| own);
        self.caller.call(Call { authorization, ..call }).await
    }

    /// The URL of something in a repository.
    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let url = self.root.join(&format!("{}/{path}", self.address.repository()));
        url.map_err(|error| self.other(error.to_string()))
    }

    /// Fetches a manifest, by the tag or the digest of its address. Returns its digest beside it.
    pub(super) async fn manifest(&self, address: &Address) -> Result<(Bytes, String), RegistryError> {
        let url = self.url(&format!("manifests/{}", address.reference()))?;
        let answer = self.call(Call { accept: Some(MANIFESTS), ..Call::new(Method::GET, url) }).await?;
        if answer.status() != 200 {
            return Err(answer.refusal(self.who).await);
        }
        let named = answer.header("docker-content-digest").map(str::to_owned);
        let bytes = answer.small().await?;
        let digest = digest(&bytes);
        let expected = address.digest().map(str::to_owned).or(named.filter(|named| digits(named).is_some()));
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(RegistryError::Damaged {
                cause: format!("it has {digest}, and {expected} was asked for"),
            });
        }
        Ok((bytes, digest))
    }

    /// The tags of the repository, in the registry's order ([listing
    /// tags](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags)).
    pub(super) async fn tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            // Some say null where there are none.
            tags: Option<Vec<String>>,
        }
        let mut url = self.url("tags/list")?;
        url.query_pairs_mut().append_pair("n", "1000");
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self.call(Call::new(Method::GET, url.clone())).await?;
            if answer.status() != 200 {
                return Err(answer.refusal(self.who).await);
            }
            let next = answer.header("link").and_then(next_page).map(str::to_owned);
            let page: Page = serde_json::from_slice(&answer.small().await?)
                .map_err(|error| self.other(format!("its list of tags is none: {error}")))?;
            tags.extend(page.tags.unwrap_or_default());
            let next = next.and_then(|link| url.join(&link).ok());
            match next.filter(|next| next.origin() == self.root.origin()) {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        Err(self.other(format!("its list of tags has more than {MAX_PAGES} pages")))
    }

    /// Fetches what a manifest describes, and no more bytes than it says.
    pub(super) async fn blob(&self, blob: &OciDescriptor) -> Result<Bytes, RegistryError> {
        let expected = usize::try_from(blob.size).unwrap_or_default();
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let answer = self.call(Call::new(Method::GET, url)).await?;
        if answer.status() != 200 {
            return Err(answer.refusal(self.who).await);
        }
        let damaged = |cause: String| RegistryError::Damaged { cause };
        let Some(bytes) = answer.sized(expected).await? else {
            return Err(damaged(format!("it is longer than the {expected} bytes of its manifest")));
        };
        let digest = digest(&bytes);
        if digest != blob.digest {
            return Err(damaged(format!("it has {digest}, and {} was asked for", blob.digest)));
        }
        Ok(bytes)
    }

    /// Uploads what the registry does not have yet ([pushing
    /// blobs](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs)).
    pub(super) async fn offer(&self, blob: &OciDescriptor, bytes: Bytes) -> Result<(), RegistryError> {
        let head = self.call(Call::new(Method::HEAD, self.url(&format!("blobs/{}", blob.digest))?)).await?;
        match head.status() {
            200 => return Ok(()),
            404 => {}
            _ => return Err(head.refusal(self.who).await),
        }
        let begun = self.call(Call {
            body: Some(("application/octet-stream", Bytes::new())),
            ..Call::new(Method::POST, self.url("blobs/uploads/")?)
        });
        let begun = begun.await?;
        if begun.status() != 202 {
            return Err(begun.refusal(self.who).await);
        }
        let mut url = begun.location()?;
        url.query_pairs_mut().append_pair("digest", &blob.digest);
        let body = Some(("application/octet-stream", bytes));
        let sent = self.call(Call { body, ..Call::new(Method::PUT, url) }).await?;
        if sent.status() != 201 {
            return Err(sent.refusal(self.who).await);
        }
        Ok(())
    }

    /// Puts a manifest under the address's tag or digest.
    pub(super) async fn put(&self, manifest: Bytes) -> Result<(), RegistryError> {
        let url = self.url(&format!("manifests/{}", self.address.reference()))?;
        let put = self.call(Call { body: Some((MANIFEST, manifest)), ..Call::new(Method::PUT, url) }).await?;
        // A page that answers everything with 200 has taken nothing.
        if put.status() != 201 {
            return Err(put.refusal(self.who).await);
        }
        Ok(())
    }
}

/// The link to the next page, of a `Link` header ([RFC
/// 8288](https://www.rfc-editor.org/rfc/rfc8288)).
fn next_page(header: &str) -> Option<&str> {
    let (link, parameters) = header.strip_prefix('<')?.split_once('>')?;
    parameters.replace(['"', ' '], "").contains("rel=next").then_some(link)
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
