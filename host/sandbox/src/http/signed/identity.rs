//! Which service may be called with the host's identity, as a flag names it.

use std::fmt;
use std::str::FromStr;

use http::Method;

use crate::http::origin::Origin;
use crate::http::signed::path::PathPrefix;
use crate::http::signed::services::{
    BLOB, KEY_VAULT, OF_STORAGE, SERVICES, STORAGE, TABLE, TOKENLESS, checked_scope, manages, service,
    usual_scope,
};
use crate::http::signed::signer::{Addition, Signer, methods, write_requests};

/// A host, or a part of it, that requests reach with the host's identity:
/// `[METHOD[,METHOD…] ]HOST[:PORT][/PREFIX][=SCOPE][;client-id=ID]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityGrant {
    origin: Origin,
    prefix: PathPrefix,
    methods: Option<Vec<Method>>,
    scope: String,
    client_id: Option<String>,
}

/// Services of Azure Storage, as grants tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageService {
    /// Blobs.
    Blob,
    /// Tables.
    Table,
    /// The host's name does not tell.
    Unnamed,
}

/// Why a text grants no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {cause}; {mend}")]
pub struct IdentityGrantError {
    text: String,
    cause: String,
    mend: &'static str,
}

const HOW: &str = "write it as in acme.blob.core.windows.net/orders, `GET,PUT api.example.com/v1=api://APP-ID/.default`, or with `;client-id=ID` at its end";

impl IdentityGrant {
    /// The origin that it grants calls to.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The scope that tokens are asked for.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The client id of the identity, if it is not the default one.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The parts of the path below which it grants calls; none stands for all of the host.
    pub fn path(&self) -> &[String] {
        self.prefix.segments()
    }

    /// Whether it grants calls with this method.
    pub fn takes(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|it| it.contains(method))
    }

    /// Whether its host is one of a service that is known here, so that a token may go there
    /// whoever has named it.
    pub fn is_known_service(&self) -> bool {
        service(self.origin.host()).is_some()
    }

    /// Whether the host is of the service that its tokens are for.
    fn takes_its_own(&self) -> bool {
        let host = self.origin.host();
        service(host).is_some_and(|(_, scope)| scope == Some(&*self.scope))
            || self.scope == STORAGE && OF_STORAGE.iter().any(|it| host.ends_with(it))
    }

    /// Whether the host gets a token that others take as well: it is neither of the service that
    /// the token is for, nor this very host. A token for an application of one's own, or for the
    /// host's own name, is of use nowhere else.
    pub fn goes_elsewhere(&self) -> bool {
        let is_of_one = self.scope.starts_with("api://")
            || self.scope == format!("https://{}/.default", self.origin.host());
        !is_of_one && !self.takes_its_own() && !self.origin.is_local()
    }

    /// What is to be thought of twice, in words: a token that all services of a kind take goes to a
    /// host that is none of them.
    pub fn doubt(&self) -> Option<String> {
        let host = self.origin.host();
        let is_known = SERVICES.iter().any(|(_, scope)| *scope == Some(&*self.scope));
        (is_known && !self.takes_its_own() && !self.origin.is_local()).then(|| {
            format!(
                "`{self}` sends {host} a token that every service of {} takes; is it really one of them?",
                self.scope.trim_end_matches("/.default")
            )
        })
    }

    /// The service of Azure Storage that it is about, if it is one that can be asked whether a
    /// token is let in.
    pub fn storage(&self) -> Option<StorageService> {
        match service(self.origin.host()) {
            Some((BLOB, _)) => Some(StorageService::Blob),
            Some((TABLE, _)) => Some(StorageService::Table),
            // An emulator, or a name of one's own.
            None if self.scope == STORAGE => Some(StorageService::Unnamed),
            _ => None,
        }
    }

    pub(super) fn signer(&self) -> Signer {
        Signer {
            origin: self.origin.clone(),
            prefix: self.prefix.clone(),
            methods: self.methods.clone(),
            has_rows: self.scope == STORAGE && service(self.origin.host()).is_none_or(|(it, _)| it == TABLE),
            of_azure: self.is_known_service() || self.scope == STORAGE,
            addition: Addition::Token { scope: self.scope.clone(), client_id: self.client_id.clone() },
        }
    }
}

impl FromStr for IdentityGrant {
    type Err = IdentityGrantError;

    fn from_str(text: &str) -> Result<Self, IdentityGrantError> {
        let refused = |cause: String, mend| IdentityGrantError { text: text.to_owned(), cause, mend };
        let (methods, rest) = methods(text).map_err(|cause| refused(cause, HOW))?;
        let (rest, client_id) = match rest.split_once(';') {
            None => (rest, None),
            Some((rest, last)) => match last.trim().split_once('=') {
                Some(("client-id", id)) if !id.is_empty() && id.bytes().all(is_of_an_id) => {
                    (rest, Some(id.to_owned()))
                }
                _ => return Err(refused(format!("`{last}` names no client id"), HOW)),
            },
        };
        let (place, scope) = match rest.split_once('=') {
            None => (rest, None),
            Some((place, scope)) => (place, Some(scope.trim())),
        };
        if place.starts_with("http://") {
            return Err(refused("a token does not travel in the clear".into(), "leave `http://` out"));
        }
        let place = place.trim().strip_prefix("https://").unwrap_or(place.trim());
        let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let origin: Origin = host.parse().map_err(|_| refused(format!("`{host}` is no host"), HOW))?;
        let prefix = PathPrefix::new(path).ok_or_else(|| {
            refused(format!("`{path}` is no plain path: it has no `..`, `//`, `%` or `*`"), HOW)
        })?;
        if manages(origin.host()) {
            let cause = format!("{} manages Azure or signs people in, and handlers never do", origin.host());
            return Err(refused(cause, "grant the service that the handler is about"));
        }
        if let Some((_, cause)) = TOKENLESS.iter().find(|(suffix, _)| origin.host().ends_with(suffix)) {
            return Err(refused(format!("{}: {cause}", origin.host()), "call it with a key: --http-header"));
        }
        let scope = match scope {
            Some(scope) => checked_scope(scope).map_err(|cause| refused(cause, HOW))?,
            None => usual_scope(origin.host()).ok_or_else(|| {
                refused(
                    format!("the scope of {}'s tokens is not known", origin.host()),
                    "name it: `HOST=SCOPE`, as in `api.example.com=api://APP-ID/.default`",
                )
            })?,
        };
        // What reads only is what most handlers want of a vault.
        let methods =
            methods.or_else(|| origin.host().ends_with(KEY_VAULT).then(|| vec![Method::GET, Method::HEAD]));
        Ok(Self { origin, prefix, methods, scope, client_id })
    }
}

/// As it is written on a command line, in full.
impl fmt::Display for IdentityGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, prefix, methods, scope, client_id } = self;
        write_requests(f, methods.as_deref(), origin, prefix)?;
        write!(f, "={scope}")?;
        client_id.as_ref().map_or(Ok(()), |id| write!(f, ";client-id={id}"))
    }
}

fn is_of_an_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::IdentityGrant;

    #[test]
    fn a_grant_names_a_host_a_path_methods_a_scope_and_an_identity() {
        for (text, shown) in [
            ("acme.blob.core.windows.net", "acme.blob.core.windows.net=https://storage.azure.com/.default"),
            (
                "GET,PUT https://Acme.blob.core.windows.net/orders/",
                "GET,PUT acme.blob.core.windows.net/orders=https://storage.azure.com/.default",
            ),
            ("acme.vault.azure.net", "GET,HEAD acme.vault.azure.net=https://vault.azure.net/.default"),
            ("PUT acme.vault.azure.net", "PUT acme.vault.azure.net=https://vault.azure.net/.default"),
            ("acme.azconfig.io", "acme.azconfig.io=https://acme.azconfig.io/.default"),
            (
                "acme.westeurope-1.eventgrid.azure.net",
                "acme.westeurope-1.eventgrid.azure.net=https://eventgrid.azure.net/.default",
            ),
            (
                "api.example.com:8443/v1=api://1234/.default;client-id=0a-1b",
                "api.example.com:8443/v1=api://1234/.default;client-id=0a-1b",
            ),
            (
                "graph.microsoft.com=https://graph.microsoft.com/.default",
                "graph.microsoft.com=https://graph.microsoft.com/.default",
            ),
        ] {
            let grant: IdentityGrant = text.parse().unwrap();
            assert_eq!(grant.to_string(), shown);
            assert_eq!(shown.parse(), Ok(grant), "what is shown grants the same");
        }
    }

    #[test]
    fn a_token_for_a_whole_kind_of_service_at_another_host_is_doubted() {
        for (text, is_doubted) in [
            ("evil.test=https://storage.azure.com/.default", true),
            ("acme.blob.core.windows.com=https://storage.azure.com/.default", true),
            ("api.example.com=https://vault.azure.net/.default", true),
            ("127.0.0.1:10000/devstoreaccount1=https://storage.azure.com/.default", false),
            ("localhost:10000=https://storage.azure.com/.default", false),
            ("acme.blob.core.windows.net", false),
            ("acme.blob.core.usgovcloudapi.net=https://storage.azure.com/.default", false),
            ("acme.z12.blob.storage.azure.net=https://storage.azure.com/.default", false),
            ("api.example.com=api://1234/.default", false),
            ("acme.azconfig.io", false),
        ] {
            let grant: IdentityGrant = text.parse().unwrap();
            assert_eq!(grant.doubt().is_some(), is_doubted, "{text}: {:?}", grant.doubt());
        }
    }

    #[test]
    fn what_would_give_a_handler_more_than_a_service_is_refused() {
        for (text, word) in [
            ("http://acme.blob.core.windows.net", "in the clear"),
            ("management.azure.com", "manages Azure"),
            ("management.azure.com=https://management.azure.com/.default", "manages Azure"),
            ("login.microsoftonline.com=api://x", "manages Azure"),
            ("api.example.com=https://management.azure.com/.default", "manage Azure"),
            ("api.example.com=https://management.core.windows.net//.default", "manage Azure"),
            ("api.example.com=https://Management.Azure.com:443/.default", "manage Azure"),
            ("api.example.com=https://x@management.azure.com/.default", "manage Azure"),
            ("api.example.com=https://management.azure.com./.default", "manage Azure"),
            ("api.example.com=management.azure.com", "manage Azure"),
            ("api.example.com=797F4846-ba00-4fd7-ba71-dba1f8f63f13/.default", "manage Azure"),
            ("api.example.com=api://797f4846-ba00-4fd7-ba71-dba1f8f63f13", "manage Azure"),
            ("eu.login.microsoftonline.com=api://x", "manages Azure"),
            ("api.example.com", "is not known"),
            ("graph.microsoft.com", "is not known"),
            ("blob.core.windows.net", "is not known"),
            (".blob.core.windows.net", "is not known"),
            ("acme.eventgrid.azure.net", "is not known"),
            ("a.b.westeurope-1.eventgrid.azure.net", "is not known"),
            ("evil.acme.blob.core.windows.net", "is not known"),
            ("acme.blob.core.windows.net.evil.test", "is not known"),
            ("acme.documents.azure.com", "form of its own"),
            ("acme.documents.azure.com=https://acme.documents.azure.com/.default", "form of its own"),
            ("api.example.com=https://management.azure.com\\.default", "is no scope"),
            ("api.example.com=https://%6danagement.azure.com/.default", "is no scope"),
            ("GET, PUT acme.blob.core.windows.net", "no blanks"),
            ("*.blob.core.windows.net", "is no host"),
            ("acme.blob.core.windows.net/a/../b", "no plain path"),
            ("get acme.blob.core.windows.net", "capitals"),
            ("TRACE acme.blob.core.windows.net", "never signed"),
            ("acme.blob.core.windows.net;client=1", "no client id"),
            ("acme.blob.core.windows.net=", "is no scope"),
            ("", "is no host"),
        ] {
            let refused = text.parse::<IdentityGrant>().unwrap_err().to_string();
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }
}
