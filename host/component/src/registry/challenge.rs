//! What a registry wants to see of its callers ([token
//! authentication](https://distribution.github.io/distribution/spec/auth/token/)).

use url::{Host, Url};

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user's name and password with each call.
    Basic,
    /// A token, which is had at `realm`.
    Bearer {
        /// Where tokens are.
        realm: Url,
        /// For whom.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads `WWW-Authenticate`; `None` if it asks for nothing that is known.
    pub(super) fn read(header: &str) -> Option<Self> {
        let challenges = http_auth::parse_challenges(header).ok()?;
        let bearer = challenges.iter().filter(|it| it.scheme.eq_ignore_ascii_case("bearer")).find_map(|it| {
            let param = |name: &str| {
                let found = it.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            let realm = Url::parse(&param("realm")?).ok()?;
            realm.host().is_some().then(|| Self::Bearer { realm, service: param("service") })
        });
        let basic = || challenges.iter().any(|it| it.scheme.eq_ignore_ascii_case("basic"));
        bearer.or_else(|| basic().then_some(Self::Basic))
    }
}

/// Whether a login for a registry may be shown to a realm that it names: on the registry's own
/// host, or over TLS on one of the same domain, as Docker Hub has it.
pub(super) fn is_of_the_same_domain(registry: &Url, realm: &Url) -> bool {
    if registry.host() == realm.host() {
        return registry.scheme() == "http" || realm.scheme() == "https";
    }
    let domain = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => {
            let mut labels: Vec<String> = name.rsplit('.').take(2).map(str::to_ascii_lowercase).collect();
            labels.reverse();
            (labels.len() == 2).then(|| labels.join("."))
        }
        _ => None,
    };
    realm.scheme() == "https" && domain(registry).is_some() && domain(registry) == domain(realm)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_a_realm_or_a_password_and_nothing_else() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: Url::parse(realm).unwrap(), service: service.map(str::to_owned) })
        };
        for (header, expected) in [
            (
                r#"Bearer realm="https://r.example/t",service="r.example""#,
                bearer("https://r.example/t", Some("r.example")),
            ),
            (r#"bearer REALM="https://r.example/t""#, bearer("https://r.example/t", None)),
            (r#"Basic realm="a", Bearer realm="https://r.example/t""#, bearer("https://r.example/t", None)),
            (r#"Basic realm="a""#, Some(Challenge::Basic)),
            (r#"Bearer realm="not a URL""#, None),
            (r#"Bearer realm="file:///etc/passwd""#, None),
            ("Bearer", None),
            ("Negotiate", None),
            ("=,\"", None),
            ("", None),
        ] {
            assert_eq!(Challenge::read(header), expected, "{header}");
        }
    }

    #[test]
    fn a_login_is_shown_to_the_registry_and_its_domain_and_never_in_the_clear() {
        for (registry, realm, shown) in [
            ("https://r.example", "https://r.example/token", true),
            ("https://r.example", "https://r.example:8443/token", true),
            ("https://r.example", "http://r.example/token", false),
            ("https://registry-1.docker.io", "https://auth.docker.io/token", true),
            ("https://registry-1.docker.io", "http://auth.docker.io/token", false),
            ("https://r.example", "https://evil.example/token", false),
            ("https://r.acme.example", "https://evil.example/token", false),
            ("https://r.example", "https://r.example.evil.test/token", false),
            ("https://10.0.0.1", "https://11.0.0.1/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", true),
            ("http://localhost:5000", "https://evil.example/token", false),
        ] {
            let url = |text| Url::parse(text).unwrap();
            assert_eq!(is_of_the_same_domain(&url(registry), &url(realm)), shown, "{registry} {realm}");
        }
    }
}
