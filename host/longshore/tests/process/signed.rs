//! Requests that the host signs: the handler reaches a service with the host's identity, and has no
//! way to the token.

use std::os::unix::fs::PermissionsExt;

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
        Self::speaking("http/1.1").await
    }

    /// A service that speaks this version of HTTP.
    async fn speaking(protocol: &str) -> Self {
        let authority = tempfile::tempdir().unwrap();
        certificates::make(authority.path(), "IP:127.0.0.1");
        let service = WebServer::start_with_tls(authority.path(), &[protocol]).await;
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
        // All that could be said is said.
        invoke.env("LONGSHORE_LOG", "trace");
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
    no_way("http/1.1").await;
}

#[tokio::test]
async fn no_way_leads_to_the_token_or_beyond_the_grant_with_http_2() {
    no_way("h2").await;
}

async fn no_way(protocol: &str) {
    let reach = Reach::speaking(protocol).await;
    let other = WebServer::start_with_tls(reach.authority.path(), &["http/1.1"]).await;
    let (host, elsewhere) = (reach.host(), format!("127.0.0.1:{}", other.port));
    let get_only = vec![format!("--http-identity=GET {host}/orders={SCOPE}")];
    let whole = reach.grant("");
    let orders = reach.grant("/orders");
    for (grant, request, word) in [
        (&whole, format!("GET https://{host}/echo"), "repeats what the host has added"),
        (
            &whole,
            format!("GET https://{host}/echo\naccept-encoding: gzip"),
            "repeats what the host has added",
        ),
        (&whole, format!("GET https://{host}/echo-header"), "repeats what the host has added"),
        (&whole, format!("TRACE https://{host}/"), "would repeat"),
        (&whole, format!("GET http://{host}/"), "not granted"),
        (&whole, format!("GET https://{elsewhere}/"), "not granted"),
        (&whole, format!("GET https://localhost:{}/", reach.service.port), "not granted"),
        (&whole, format!("GET https://{host}@{elsewhere}/"), ""),
        (&whole, format!("POST https://{host}/?restype=service&comp=userdelegationkey"), "seven days"),
        (&whole, format!("POST https://{host}/?restype=service&Comp=UserDelegation%4bey"), "seven days"),
        (
            &whole,
            format!("PUT https://{host}/orders/1\nx-ms-copy-source: https://{elsewhere}/secret"),
            "x-ms-copy-source",
        ),
        (
            &whole,
            format!("PUT https://{host}/orders/1\nx-ms-copy-source-authorization: Bearer x"),
            "carries a token",
        ),
        (
            &whole,
            format!("PUT https://{host}/orders/1\nx-ms-authorization-auxiliary: Bearer x"),
            "carries a token",
        ),
        (&whole, format!("POST https://{host}/orders\nx-http-method-override: DELETE"), "another request"),
        (&orders, format!("GET https://{host}/keys"), "not below /orders"),
        (&orders, format!("GET https://{host}/orders2"), "not below /orders"),
        (&orders, format!("GET https://{host}/orders/../keys"), "could leave"),
        (&orders, format!("GET https://{host}/orders/%2e%2e/keys"), "could leave"),
        (&orders, format!("GET https://{host}/orders/%252e%252e/keys"), "could leave"),
        (&orders, format!("GET https://{host}//keys/orders"), "could leave"),
        (&orders, format!("GET https://{host}/orders\nx-original-url: /keys"), "another request"),
        (
            &orders,
            format!("PUT https://{host}/orders/1\nx-ms-copy-source: https://{host}/keys/1"),
            "x-ms-copy-source",
        ),
        (&orders, format!("PUT https://{host}/orders/1\nx-ms-rename-source: /keys/1"), "x-ms-rename-source"),
        (&orders, format!("POST https://{host}/orders?comp=batch"), "may reach beyond"),
        (&whole, format!("PUT https://{host}/orders?restype=container&comp=acl"), "let others in"),
        (&whole, format!("PATCH https://{host}/orders/1?action=setAccessControl"), "let others in"),
        (&orders, format!("GET https://{host}/orders;x/../keys"), "could leave"),
        (&orders, format!("GET https://{host}/orders/..;/keys"), "could leave"),
        (&orders, format!("GET https://{host}/orders%5c..%5ckeys"), "could leave"),
        (&orders, format!("GET https://{host}/orders/%00/../keys"), "could leave"),
        (&orders, format!("GET https://{host}/keys?x=/orders"), "not below /orders"),
        (&whole, format!("PUT https://{host}/orders/1\ncontent-length: 9000"), "HttpRequestBodySize"),
        (&get_only, format!("PUT https://{host}/orders/1\n\nbody"), "for GET only"),
        (&whole, format!("trace https://{host}/"), "in capitals"),
        (&orders, format!("PUT https://{host}/orders/1\nx-ms-source-container-name: keys"), "nobody checks"),
        (&orders, format!("PUT https://{host}/orders/1\nx-ms-deleted-container-name: keys"), "nobody checks"),
        (&whole, format!("PUT https://{host}/1\nx-ms-blob-public-access: container"), "let others in"),
        (&whole, format!("PUT https://{host}/1?comp=%u0061cl"), "let others in"),
        (&whole, format!("POST https://{host}/1\nX_HTTP_METHOD_OVERRIDE: DELETE"), "another request"),
        (&whole, format!("POST https://{host}/1\nforwarded: host=keys"), "another request"),
        (&orders, format!("GET https://{host}/orders/%u002e%u002e/keys"), "could leave"),
        (&orders, format!("GET https://{host}/orders/..%20/keys"), "could leave"),
        (&orders, format!("GET https://{host}/orders/%EF%BC%8E%EF%BC%8E/keys"), "could leave"),
        (
            &orders,
            format!("PUT https://{host}/orders/1\nx-ms-file-rename-source: https://{host}/keys/1"),
            "rename-source",
        ),
        (
            &vec![format!("--http-identity=POST {host}={SCOPE}")],
            format!("POST https://{host}/?comp=batch"),
            "holds any methods",
        ),
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

#[tokio::test]
async fn on_a_laptop_the_developer_s_login_signs() {
    let reach = Reach::start().await;
    let directory = tempfile::tempdir().unwrap();
    let az = directory.path().join("az");
    let token = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJhcGk6Ly9vcmRlcnMifQ.developers-signature";
    let said = format!(r#"{{"accessToken":"{token}","expires_on":4102444800,"tokenType":"Bearer"}}"#);
    std::fs::write(&az, format!("#!/bin/sh\necho \"$*\" >> \"$0.asked\"\necho '{said}'\n")).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut invoke = longshore(["invoke", "--outbox=invoices=file:./invoices", "--config=greeting=hello"]);
    invoke.arg("--cache-dir").arg(cache()).arg("--allow-private=127.0.0.0/8").args(reach.grant("/orders"));
    invoke.arg("--component").arg(guest::rogue());
    invoke.arg(format!("ask:GET https://{}/orders/1", reach.host()));
    invoke.env("SSL_CERT_FILE", reach.authority.path().join("ca.pem"));
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    invoke.env("PATH", path);
    let ended = tokio::task::spawn_blocking(move || invoke.run()).await.unwrap();
    let all = ended.stdout + &ended.stderr;
    assert!(all.contains("200|") && !all.contains("developers-signature"), "{all}");
    // What was granted is shown with the result.
    assert!(all.contains(&format!("with the host's identity  {}/orders={SCOPE}", reach.host())), "{all}");
    assert_eq!(reach.service.seen()[0].header("authorization"), format!("Bearer {token}"));
    let asked = std::fs::read_to_string(directory.path().join("az.asked")).unwrap();
    assert!(asked.contains("get-access-token") && asked.contains(SCOPE), "{asked}");
}

#[tokio::test]
async fn grants_are_shown_by_inspect_and_asked_about_by_check() {
    let reach = Reach::start().await;
    let api = format!("GET {}/orders={SCOPE};client-id={CLIENT_ID}", reach.host());
    let key = format!("{}/v1=x-api-key", reach.host());
    let run = async |arguments: &[&str]| {
        let mut program = longshore(arguments);
        program.arg("--output=json");
        program.arg(format!("--http-identity={api}")).arg(format!("--http-header={key}=@API_KEY"));
        program.env("IDENTITY_ENDPOINT", &reach.identity.url).env("IDENTITY_HEADER", HEADER);
        program.env("API_KEY", "swordfish-swordfish").env("LONGSHORE_CACHE_DIR", cache());
        let ended = tokio::task::spawn_blocking(move || program.run()).await.unwrap();
        assert!(!format!("{ended:?}").contains("swordfish"), "{ended:?}");
        ended
    };
    let rogue = guest::rogue();
    // What it needs beside these.
    let needed = ["--config=key=value", "--outbox=copies=file:./queues/copies"];
    let inspected = run(&[&["inspect", rogue.to_str().unwrap()][..], &needed].concat()).await;
    let inspected = inspected.succeeded().json();
    assert_eq!(
        (&inspected["http_identities"][0], &inspected["http_headers"][0]),
        (&api.clone().into(), &key.clone().into())
    );
    let queue = format!("--queue=file:{}/orders", reach.authority.path().display());
    longshore(["queue", "create", &queue]).run().succeeded();
    let result = |ended: &crate::process::Ended| {
        let found = ended.json_lines().into_iter().find(|it| it["check"] == "identity token").unwrap();
        assert_eq!(found["of"], api);
        (found["result"].as_str().unwrap().to_owned(), found["detail"].to_string())
    };
    assert_eq!(result(&run(&["check", &queue]).await.succeeded()).0, "yes");
    reach.identity.turn(&[Mood::Refuses(403)]);
    let refused = run(&["check", &queue]).await.ends_with(3);
    let (known, detail) = result(&refused);
    assert!(known == "no" && detail.contains(CLIENT_ID), "{refused:?}");
    assert!(reach.service.seen().is_empty(), "nobody knows how to ask this service");
}

#[tokio::test]
async fn two_grants_for_the_same_requests_and_a_key_that_is_not_there_are_refused_at_the_start() {
    let reach = Reach::start().await;
    let host = reach.host();
    let url = format!("GET https://{host}/");
    let both = [reach.grant("/v1"), vec![format!("--http-header={host}/v1=x-api-key=@API_KEY")]].concat();
    let said = reach.ask(&both, &url).await;
    assert!(said.contains("both add something to the same requests"), "{said}");
    for (grant, word) in [
        (format!("--http-header={host}=x-api-key=@NOT_SET"), "NOT_SET has no value here"),
        (format!("--http-header={host}=x-api-key=swordfish=="), "stands in a variable"),
        (format!("--http-header=swordfish@{host}"), "no host, header and variable"),
        (format!("--http-identity=http://{host}={SCOPE}"), "in the clear"),
        ("--http-identity=management.azure.com".into(), "manages Azure"),
    ] {
        let said = reach.ask(&[grant], &url).await;
        assert!(said.contains(word) && !said.contains("swordfish"), "{said}");
    }
    assert!(reach.service.seen().is_empty() && reach.identity.requests().is_empty());
}
