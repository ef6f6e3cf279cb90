//! Requests that the host signs: the handler reaches a service with the host's identity, and has no
//! way to the token.

use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::web::WebServer;
use longshore_testkit::{certificates, guest};
use tempfile::TempDir;

use crate::process::{cache, longshore};

const SCOPE: &str = "api://orders/.default";

/// A service over TLS, an identity endpoint, and the rogue between them.
struct Reach {
    authority: TempDir,
    service: WebServer,
    identity: Identity,
}

impl Reach {
    async fn start() -> Self {
        let authority = tempfile::tempdir().unwrap();
        certificates::make(authority.path(), "IP:127.0.0.1");
        let service = WebServer::start_with_tls(authority.path(), &["http/1.1"]).await;
        Self { authority, service, identity: Identity::start(Mood::Tokens(3600)) }
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.service.port)
    }

    /// What the handler is answered, and what is logged.
    async fn ask(&self, flags: &[String], request: &str) -> String {
        let mut invoke =
            longshore(["invoke", "--outbox=invoices=file:./invoices", "--config=greeting=hello"]);
        invoke.arg("--cache-dir").arg(cache()).arg("--allow-private=127.0.0.0/8").args(flags);
        invoke.arg("--component").arg(guest::rogue()).arg(format!("ask:{request}"));
        invoke.env("SSL_CERT_FILE", self.authority.path().join("ca.pem"));
        invoke.env("IDENTITY_ENDPOINT", &self.identity.url).env("IDENTITY_HEADER", HEADER);
        invoke.env("AZURE_CLIENT_ID", CLIENT_ID).env("API_KEY", "swordfish-swordfish");
        // The service answers on this test's own thread.
        let ended = tokio::task::spawn_blocking(move || invoke.run()).await.unwrap();
        ended.stdout + &ended.stderr
    }

    fn grant(&self, path: &str) -> Vec<String> {
        vec![format!("--http-identity={}{path}={SCOPE}", self.host())]
    }

    /// Whether a token, or what it ends with, is in this text.
    fn has_token(&self, text: &str) -> bool {
        let tokens = self.identity.tokens();
        tokens.iter().any(|it| {
            text.contains(it) || it.rsplit('.').next().is_some_and(|end| end.len() > 20 && text.contains(end))
        })
    }
}

#[tokio::test]
async fn the_host_signs_what_was_granted_and_the_handler_never_sees_the_token() {
    let reach = Reach::start().await;
    let url = format!("https://{}", reach.host());
    let said = reach
        .ask(
            &reach.grant("/orders"),
            &format!("PUT {url}/orders/1?x=2\nauthorization: Bearer mine\nx-a: b\n\nbody"),
        )
        .await;
    assert!(said.contains("200|") && said.contains("PUT /orders/1?x=2"), "{said}");
    let seen = reach.service.seen();
    let tokens = reach.identity.tokens();
    assert_eq!((seen.len(), tokens.len()), (1, 1), "{said}");
    assert_eq!(seen[0].header("authorization"), format!("Bearer {}", tokens[0]));
    assert_eq!(
        (seen[0].header("x-a"), seen[0].header("content-length"), &*seen[0].body),
        ("b", "4", &b"body"[..])
    );
    assert!(
        reach.identity.requests()[0].contains("resource=api%3A%2F%2Forders"),
        "{:?}",
        reach.identity.requests()
    );
    assert!(!reach.has_token(&said), "{said}");
}

#[tokio::test]
async fn a_key_is_added_to_requests_and_the_handler_never_sees_it() {
    let reach = Reach::start().await;
    let url = format!("https://{}", reach.host());
    let grant = [format!("--http-header={}/v1=x-api-key=@API_KEY", reach.host())];
    let said = reach.ask(&grant, &format!("GET {url}/v1/orders\nx-api-key: mine")).await;
    assert!(said.contains("200|") && !said.contains("swordfish"), "{said}");
    assert_eq!(reach.service.seen()[0].header("x-api-key"), "swordfish-swordfish");
    assert_eq!(reach.service.seen()[0].header("authorization"), "");
    let said = reach
        .ask(&[format!("--http-header={}=x-api-key=@API_KEY", reach.host())], &format!("GET {url}/echo"))
        .await;
    assert!(said.contains("repeats what the host has added") && !said.contains("swordfish"), "{said}");
}

/// Each tries to get at the token, or to have it used for something else than was granted.
#[tokio::test]
async fn no_way_leads_to_the_token_or_beyond_the_grant() {
    let reach = Reach::start().await;
    let other = WebServer::start_with_tls(reach.authority.path(), &["http/1.1"]).await;
    let (host, elsewhere) = (reach.host(), format!("127.0.0.1:{}", other.port));
    let get_only = vec![format!("--http-identity=GET {host}/orders={SCOPE}")];
    let whole = reach.grant("");
    let orders = reach.grant("/orders");
    let no = |word: &'static str| word;
    for (grant, request, word) in [
        (&whole, format!("GET https://{host}/echo"), no("repeats what the host has added")),
        (
            &whole,
            format!("GET https://{host}/echo\naccept-encoding: gzip"),
            no("repeats what the host has added"),
        ),
        (&whole, format!("GET https://{host}/echo-header"), no("repeats what the host has added")),
        (&whole, format!("TRACE https://{host}/"), no("would repeat")),
        (&whole, format!("GET http://{host}/"), no("not granted")),
        (&whole, format!("GET https://{elsewhere}/"), no("not granted")),
        (&whole, format!("GET https://localhost:{}/", reach.service.port), no("not granted")),
        (&whole, format!("GET https://{host}@{elsewhere}/"), no("")),
        (&whole, format!("POST https://{host}/?restype=service&comp=userdelegationkey"), no("seven days")),
        (&whole, format!("POST https://{host}/?restype=service&Comp=UserDelegation%4bey"), no("seven days")),
        (
            &whole,
            format!("PUT https://{host}/orders/1\nx-ms-copy-source: https://{elsewhere}/secret"),
            no("x-ms-copy-source"),
        ),
        (
            &whole,
            format!("PUT https://{host}/orders/1\nx-ms-copy-source-authorization: Bearer x"),
            no("carries a token"),
        ),
        (
            &whole,
            format!("PUT https://{host}/orders/1\nx-ms-authorization-auxiliary: Bearer x"),
            no("carries a token"),
        ),
        (
            &whole,
            format!("POST https://{host}/orders\nx-http-method-override: DELETE"),
            no("another request"),
        ),
        (&orders, format!("GET https://{host}/keys"), no("not below /orders")),
        (&orders, format!("GET https://{host}/orders2"), no("not below /orders")),
        (&orders, format!("GET https://{host}/orders/../keys"), no("could leave")),
        (&orders, format!("GET https://{host}/orders/%2e%2e/keys"), no("could leave")),
        (&orders, format!("GET https://{host}/orders/%252e%252e/keys"), no("could leave")),
        (&orders, format!("GET https://{host}//keys/orders"), no("could leave")),
        (&orders, format!("GET https://{host}/orders\nx-original-url: /keys"), no("another request")),
        (
            &orders,
            format!("PUT https://{host}/orders/1\nx-ms-copy-source: https://{host}/keys/1"),
            no("x-ms-copy-source"),
        ),
        (
            &orders,
            format!("PUT https://{host}/orders/1\nx-ms-rename-source: /keys/1"),
            no("x-ms-rename-source"),
        ),
        (&orders, format!("POST https://{host}/orders?comp=batch"), no("may reach beyond")),
        (&get_only, format!("PUT https://{host}/orders/1\n\nbody"), no("for GET only")),
    ] {
        let said = reach.ask(grant, &request).await;
        assert!(said.contains(word), "{request}: {said}");
        assert!(!said.contains("200|"), "{request}: {said}");
        assert!(!reach.has_token(&said), "{request}: {said}");
    }
    assert_eq!(other.seen().len(), 0, "{:?}", other.seen());
    // A redirect is the handler's to follow, and then it is a request like any other.
    let said = reach.ask(&whole, &format!("GET https://{host}/to/https://{elsewhere}/")).await;
    assert!(said.contains("302|") && !reach.has_token(&said), "{said}");
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_a_second_refusal_is_the_handler_s() {
    let reach = Reach::start().await;
    let url = format!("https://{}", reach.host());
    let said = reach.ask(&reach.grant(""), &format!("POST {url}/status-once/401\n\nbody")).await;
    assert!(said.contains("200|"), "{said}");
    let seen = reach.service.seen();
    assert_eq!((seen.len(), &*seen[1].body), (2, &b"body"[..]));
    assert_ne!(seen[0].header("authorization"), seen[1].header("authorization"), "a fresh one");
    let said = reach.ask(&reach.grant(""), &format!("GET {url}/status/401")).await;
    assert!(said.contains("401|"), "{said}");
    assert_eq!(reach.service.seen().len(), 4);
}
