//! Where logins and tokens go, and where they never do.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::wait::{slack, until};
use serde_json::json;

use super::peer::{Asked, Peer, Reply};
use crate::registry::host::Host;

const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// A registry that knows one refresh token, and has nothing.
fn wants_refresh_token(form_is_known: bool) -> Peer {
    Peer::start(move |peer, asked: &Asked| {
        let with_form = asked.is("POST /oauth2/token")
            && asked.body.contains("grant_type=refresh_token")
            && asked.body.contains("refresh_token=secret-refresh");
        let login = format!("Basic {}", STANDARD.encode(format!("{TOKEN_USER}:secret-refresh")));
        let with_login = asked.is("GET /oauth2/token") && asked.header("authorization") == Some(&login);
        let issued = Reply::json(&json!({ "access_token": "secret-access" }));
        match (with_form && form_is_known, with_login && !form_is_known) {
            (true, _) | (_, true) => issued,
            _ if asked.is("POST /oauth2/token") => Reply::say("404 Nothing", "", b""),
            _ if asked.header("authorization") == Some("Bearer secret-access") => {
                Reply::say("404 Nothing", "", br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)
            }
            _ => {
                let realm = format!(
                    "www-authenticate: Bearer realm=\"http://{0}/oauth2/token\",service=\"{0}\"\r\n",
                    peer.name()
                );
                Reply::say("401 Who", &realm, b"")
            }
        }
    })
}

fn docker(host: &Host, config: &serde_json::Value) {
    std::fs::create_dir_all(host.path(".docker")).unwrap();
    std::fs::write(host.path(".docker/config.json"), config.to_string()).unwrap();
}

#[test]
fn what_az_acr_login_leaves_is_used_as_a_refresh_token() {
    for form_is_known in [true, false] {
        let peer = wants_refresh_token(form_is_known);
        let (host, address) = (Host::new(), format!("oci://{}/order:1", peer.name()));
        // As docker writes what `az acr login` hands it: no password.
        let auth = STANDARD.encode(format!("{TOKEN_USER}:"));
        docker(
            &host,
            &json!({ "auths": { peer.name(): { "auth": auth, "identitytoken": "secret-refresh" } } }),
        );
        let ended = host.start(&["inspect", &address]).ends_with(3);
        assert!(!ended.says(&["no such repository, tag or digest"]).stderr.contains("secret-"), "{ended:?}");

        // As a helper hands it out.
        let helper = host.path("docker-credential-test");
        let printed = r#"{"ServerURL":"","Username":"<token>","Secret":"secret-refresh"}"#;
        std::fs::write(&helper, format!("#!/bin/sh\ncat > {0}.asked\necho '{printed}'\n", helper.display()))
            .unwrap();
        std::fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
        docker(&host, &json!({ "credHelpers": { peer.name(): "test" } }));
        let path = format!("{}:{}", host.path("").display(), std::env::var("PATH").unwrap());
        let ended = host.program(&["inspect", &address]).env("PATH", path).run().ends_with(3);
        assert!(!ended.says(&["no such repository, tag or digest"]).stderr.contains("secret-"), "{ended:?}");
        assert_eq!(std::fs::read_to_string(host.path("docker-credential-test.asked")).unwrap(), peer.name());
    }
}

#[test]
fn a_login_that_is_refused_at_a_push_is_named_as_such() {
    let basic = Peer::start(|_, _| Reply::say("401 Who", "www-authenticate: Basic realm=\"r\"\r\n", b""));
    let bearer = Peer::start(|peer, asked| {
        let realm = format!("www-authenticate: Bearer realm=\"http://{}/token\"\r\n", peer.name());
        Reply::say("401 Who", if asked.is("GET /token") { "" } else { &realm }, b"")
    });
    for peer in [basic, bearer] {
        let host = Host::new()
            .with("LONGSHORE_REGISTRY_USER", "ann")
            .with("LONGSHORE_REGISTRY_PASSWORD", "secret-password");
        let component = host.component("order.wasm", false);
        let to = format!("oci://{}/order:1", peer.name());
        let ended = host.start(&["push", component.to_str().unwrap(), &to]).ends_with(3);
        ended.says(&["cannot push to", "does not accept this login", "LONGSHORE_REGISTRY_USER"]);
        assert!(!ended.stderr.contains("secret-password"), "{ended:?}");
    }
    let host = Host::new();
    let component = host.component("order.wasm", false);
    let ended = host.start(&["push", component.to_str().unwrap(), "oci://127.0.0.1:9/order:1"]).ends_with(3);
    ended.says(&["no answer from the registry 127.0.0.1:9", "refused", "does it listen there"]);
    assert!(!ended.stderr.contains("in the cache"), "{ended:?}");
}

#[test]
fn a_tag_that_is_an_index_is_named_as_one_with_what_is_in_it() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let entry = json!({ "digest": digest, "platform": { "os": "wasip2", "architecture": "wasm" } });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    let peer = Peer::start(move |_, asked| {
        let kind = "application/vnd.oci.image.index.v1+json";
        match asked.header("accept") {
            Some(accept) if accept.contains(kind) => {
                Reply::say("200 OK", &format!("content-type: {kind}\r\n"), index.to_string().as_bytes())
            }
            _ => Reply::say("404 Nothing", "", b""),
        }
    });
    let ended = Host::new().start(&["inspect", &format!("oci://{}/order:1", peer.name())]).ends_with(3);
    ended.says(&[
        "is an index of 1 artifacts",
        &format!("oci://{}/order@sha256:aaa", peer.name()),
        "wasip2/wasm",
    ]);
}

#[test]
fn a_blob_that_is_elsewhere_is_fetched_without_a_login_however_often_it_is_sent_on() {
    let layer = format!("sha256:{}", "b".repeat(64));
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": layer, "size": 1 },
        "layers": [{ "mediaType": "application/wasm", "digest": layer, "size": 10 }],
    });
    let peer = Peer::start(move |peer, asked| match asked.header("authorization") {
        None => Reply::say("401 Who", "www-authenticate: Basic realm=\"r\"\r\n", b""),
        Some(_) if asked.line.contains("/blobs/") => {
            Reply::say("307 On", &format!("location: http://{}/blob\r\n", peer.stranger()), b"")
        }
        Some(_) => Reply::json(&manifest),
    });
    let host =
        Host::new().with("LONGSHORE_REGISTRY_USER", "ann").with("LONGSHORE_REGISTRY_PASSWORD", "secret");
    host.run(&format!("oci://{}/order:1", peer.name()), &["--hold", "0"]).ends_with(3);
    let stolen = peer.stolen();
    assert!(stolen.len() >= 2, "it was followed there, and once more: {stolen:?}");
    assert!(!stolen.iter().any(|it| it.to_lowercase().contains("authorization")), "{stolen:?}");
}

#[test]
fn the_identity_s_token_is_shown_to_no_realm_beside_the_registry() {
    let identity = Identity::start(Mood::Tokens(3600));
    let peer = Peer::start(|peer, asked| {
        if asked.is("POST /oauth2/exchange") {
            return Reply::json(&json!({ "refresh_token": "secret-refresh" }));
        }
        let realm = format!("www-authenticate: Bearer realm=\"http://{}/token\"\r\n", peer.stranger());
        Reply::say("401 Who", &realm, b"")
    });
    let host = Host::new()
        .with("LONGSHORE_REGISTRY_AUTH", "azure")
        .with("IDENTITY_ENDPOINT", &identity.url)
        .with("IDENTITY_HEADER", HEADER)
        .with("AZURE_CLIENT_ID", CLIENT_ID);
    let ended = host.start(&["inspect", &format!("oci://{}/order:1", peer.name())]).ends_with(3);
    ended.says(&["the identity", &peer.stranger(), "is the registry's name right?"]);
    assert_eq!(peer.stolen(), [""; 0]);
    assert!(!ended.stderr.contains("secret-refresh"), "{ended:?}");
}

#[test]
fn a_login_from_the_environment_goes_to_the_registry_that_it_is_for() {
    let peer = Peer::start(|_, _| Reply::say("401 Who", "www-authenticate: Basic realm=\"r\"\r\n", b""));
    let login = |host: Host| {
        host.with("LONGSHORE_REGISTRY_USER", "ann").with("LONGSHORE_REGISTRY_PASSWORD", "secret-password")
    };
    let another = login(Host::new()).with("LONGSHORE_REGISTRY_HOST", "registry.example");
    let address = format!("oci://{}/order:1", peer.name());
    another.start(&["inspect", &address]).ends_with(3).says(&["anonymous callers"]);
    assert!(peer.asked().iter().all(|it| it.header("authorization").is_none()), "{:?}", peer.asked());

    let own = login(Host::new()).with("LONGSHORE_REGISTRY_HOST", &peer.name());
    own.start(&["inspect", &address]).ends_with(3).says(&["this login"]);
    assert!(peer.asked().iter().any(|it| it.header("authorization").is_some()));

    // Without a name it leaves this machine for nobody.
    let ended = login(Host::new()).start(&["inspect", "oci://registry.invalid/order:1"]).ends_with(3);
    ended.says(&["do not say for which registry", "LONGSHORE_REGISTRY_HOST=registry.invalid"]);
}

#[test]
fn a_stop_is_heard_while_an_identity_a_queue_or_a_registry_says_nothing() {
    let silent = Peer::start(|_, _| Reply::Silence);
    let identity = [
        ("IDENTITY_ENDPOINT", format!("http://{}/msi/token", silent.name())),
        ("IDENTITY_HEADER", HEADER.to_owned()),
    ];
    let component = Host::new().component("order.wasm", false);
    std::fs::create_dir_all(component.parent().unwrap()).unwrap();
    std::fs::write(&component, longshore_testkit::wat::handler("", "")).unwrap();
    let local = Host::new();
    let (queue, component) = (local.queue(), component.to_str().unwrap().to_owned());
    let storage = format!("http://{}/account/orders?sig=x", silent.name());
    let registry = format!("oci://{}/order:1", silent.name());
    for (queue, component, env) in [
        ("https://127.0.0.1:9/account/orders", component.as_str(), &identity[..]),
        ("sb://127.0.0.1:9/orders", &component, &identity[..]),
        (&storage, &component, &[]),
        (&format!("sb://{}/orders", silent.name()), &component, &identity[..]),
        (&queue, &registry, &[]),
    ] {
        let mut program = local.program(&["run", "--queue", queue, "--component", component]);
        program.envs(env.iter().map(|(name, value)| (name, value)));
        let before = silent.asked().len();
        let started = program.start();
        if !queue.starts_with("sb://127.0.0.1:") {
            until("the first call", || (silent.asked().len() > before).then_some(()));
        }
        std::thread::sleep(Duration::from_millis(500));
        started.terminate();
        let stopped = Instant::now();
        let ended = started.wait();
        assert!(
            stopped.elapsed() < Duration::from_secs(5) + slack(Duration::from_secs(1)),
            "{queue}: {ended:?}"
        );
        let ended = ended.succeeded();
        assert_eq!(
            (&ended.json()["ended"], &ended.json()["received"]),
            (&"stopped".into(), &0.into()),
            "{ended:?}"
        );
    }
}

#[test]
fn what_is_made_is_for_this_user_whatever_the_umask() {
    use std::os::unix::fs::MetadataExt;
    let host = Host::new();
    let (queue, cache) = (format!("file:{}/new/orders", host.path("").display()), host.path("made"));
    let component = host.component("order.wasm", false);
    let script = r#"umask 000; "$0" queue create --queue "$1" && "$0" send --queue "$1" '{}' && exec "$0" run --max-messages 1 --queue "$1" --component "$2""#;
    let mut program = longshore_testkit::program::Program::new("sh", &host.path(""));
    program
        .args(["-c", script, env!("CARGO_BIN_EXE_longshore"), &queue, component.to_str().unwrap()])
        .env("LONGSHORE_CACHE_DIR", &cache);
    program.run().succeeded();
    let mut looked_at = 0;
    let mut left = vec![host.path("new"), cache];
    while let Some(path) = left.pop() {
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!(found.mode() & 0o077, 0, "{}", path.display());
        looked_at += 1;
        if found.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(looked_at > 4, "a directory and a database, a cache and what is in it: {looked_at}");

    // A cache that others can write is not used, and that is said.
    std::fs::set_permissions(host.path("made/compiled"), PermissionsExt::from_mode(0o777)).unwrap();
    let mut program = host.program(&["invoke", "--component", component.to_str().unwrap(), "{}"]);
    let ended = program.env("LONGSHORE_CACHE_DIR", host.path("made")).run();
    ended.says(&["other users may write it"]);
}
