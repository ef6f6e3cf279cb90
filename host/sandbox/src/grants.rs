//! What the operator grants to a component, and which of its imports need a grant. Nothing is
//! granted by default.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::http::address::Cidr;
use crate::http::origin::Origin;
use crate::http::signed::{IdentityGrant, SecretHeader, Signers, TokenSource};
use crate::names;

/// What the operator grants to a component.
#[derive(Clone, Default)]
pub struct Grants {
    /// Environment variables, as name and value.
    pub env: Vec<(String, String)>,
    /// Settings that `wasi:config/store` shows, as name and value.
    pub config: Vec<(String, String)>,
    /// Where `wasi:http` may send requests to.
    pub http: Vec<Origin>,
    /// Addresses that such a request may reach although they are not public.
    pub private: Vec<Cidr>,
    /// Where `wasi:http` may send requests to that the host signs with its identity.
    pub identities: Vec<IdentityGrant>,
    /// Where it may send requests to that the host adds a header to.
    pub headers: Vec<SecretHeader>,
    /// Where the tokens come from. Without it no request is signed with an identity.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// The names of queues that `outbox.send` knows.
    pub outbox: Vec<String>,
}

/// Names only: values are secrets, or may be.
impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { env, config, http, private, identities, headers, tokens, outbox } = self;
        let names = |pairs: &[(String, String)]| pairs.iter().map(|pair| pair.0.clone()).collect::<Vec<_>>();
        f.debug_struct("Grants")
            .field("env", &names(env))
            .field("config", &names(config))
            .field("http", http)
            .field("private", private)
            .field("identities", identities)
            .field("headers", headers)
            .field("tokens", tokens)
            .field("outbox", outbox)
            .finish()
    }
}

/// A grant that an import depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The flag that grants it.
    pub flag: &'static str,
    /// Whether the component can be loaded only with it. Plain Rust components import the
    /// environment without using it, and those of other languages HTTP.
    pub needed: bool,
    /// Whether it was granted.
    pub granted: bool,
}

impl Grants {
    /// Two grants that add something to the very same requests, if there are any.
    pub fn conflict(&self) -> Option<(String, String)> {
        let (one, two) = Signers::new(&self.identities, &self.headers, None).conflict()?;
        let grants = self.identities.iter().map(|it| it.to_string());
        let grants: Vec<_> = grants.chain(self.headers.iter().map(|it| it.to_string())).collect();
        Some((grants[one].clone(), grants[two].clone()))
    }

    /// Whether handlers may send any HTTP requests.
    pub fn may_call(&self) -> bool {
        !(self.http.is_empty() && self.identities.is_empty() && self.headers.is_empty())
    }

    /// The grant that an import depends on, named as in a component; `None` if it needs no grant.
    pub(crate) fn of(&self, import: &str) -> Option<Grant> {
        let grant = |flag, needed, granted| Some(Grant { flag, needed, granted });
        if import == names::OUTBOX {
            return grant("--outbox NAME=QUEUE-URL", true, !self.outbox.is_empty());
        }
        if import == names::SETTINGS {
            return grant("--config KEY=VALUE", true, !self.config.is_empty());
        }
        match names::wasi(import)? {
            "wasi:cli/environment" => grant("--env KEY[=VALUE]", false, !self.env.is_empty()),
            // Toolchains of other languages import it whether or not it is used. The host therefore
            // refuses the request, not the component.
            "wasi:http/outgoing-handler" => grant("--allow-http HOST[:PORT]", false, self.may_call()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Grants;
    use crate::http::signed::HeaderGrant;

    #[test]
    fn an_import_names_the_flag_that_grants_it() {
        let nothing = Grants::default();
        let everything = Grants {
            env: vec![("A".into(), "1".into())],
            config: vec![("a".into(), "1".into())],
            http: vec!["example.com".parse().unwrap()],
            outbox: vec!["invoices".into()],
            ..Grants::default()
        };
        for (import, flag, needed) in [
            ("longshore:handler/outbox@0.1.0", "--outbox NAME=QUEUE-URL", true),
            ("wasi:config/store@0.2.0-rc.1", "--config KEY=VALUE", true),
            ("wasi:http/outgoing-handler@0.2.6", "--allow-http HOST[:PORT]", false),
            ("wasi:cli/environment@0.2.0", "--env KEY[=VALUE]", false),
        ] {
            let grant = nothing.of(import).unwrap();
            assert_eq!((grant.flag, grant.needed, grant.granted), (flag, needed, false));
            assert!(everything.of(import).unwrap().granted, "{import}");
        }
        for import in ["wasi:http/types@0.2.6", "wasi:io/poll@0.2.0", "acme:db/store@1.0.0"] {
            assert_eq!(nothing.of(import), None);
        }
    }

    #[test]
    fn no_two_grants_are_about_the_same_requests() {
        let conflict = |identities: &[&str], header: &str| {
            let identities = identities.iter().map(|it| it.parse().unwrap()).collect();
            let header: HeaderGrant = header.parse().unwrap();
            let headers = vec![header.with_value(Some("swordfish")).unwrap()];
            Grants { identities, headers, ..Grants::default() }.conflict()
        };
        let blob = "acme.blob.core.windows.net/orders";
        let read = format!("GET {blob}");
        let key = "api.example.com/v1=x-api-key=@KEY";
        assert_eq!(conflict(&[blob, "acme.blob.core.windows.net", "PUT acme.azconfig.io"], key), None);
        assert_eq!(conflict(&[&read, &format!("PUT,DELETE {blob}")], key), None);
        let (one, two) = conflict(&[&read, blob], key).unwrap();
        assert!(one.starts_with("GET acme") && two.starts_with("acme"), "{one}, {two}");
        let (one, two) = conflict(&["GET api.example.com/v1/=api://x"], key).unwrap();
        assert_eq!((&*one, &*two), ("GET api.example.com/v1=api://x", "api.example.com/v1=x-api-key"));
    }

    #[test]
    fn values_are_not_shown() {
        let grants = Grants { env: vec![("KEY".into(), "secret".into())], ..Grants::default() };
        let shown = format!("{grants:?}");
        assert!(shown.contains("KEY") && !shown.contains("secret"), "{shown}");
        let origins = Grants { http: vec!["api.example.com".parse().unwrap()], ..Grants::default() };
        assert!(format!("{origins:?}").contains("api.example.com"));
    }
}
