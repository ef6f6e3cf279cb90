//! Who the host is to a registry: an identity whose token is exchanged, a login, or nobody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::registry::front::{Fate, Front, LOGIN};
use crate::registry::host::Host;
use crate::registry::server::Registry;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::program::Ended;

struct Guarded {
    front: Front,
    identity: Identity,
    tag: String,
    _registry: Registry,
}

fn guarded() -> Guarded {
    let registry = Registry::start();
    let identity = Identity::start(Mood::Tokens(3600));
    let front = Front::start(&registry, Some(&identity));
    let tag = format!("oci://{}/order:1", front.name());
    Guarded { front, identity, tag, _registry: registry }
}

impl Guarded {
    fn with_identity(&self) -> Host {
        Host::new()
            .with("LONGSHORE_REGISTRY_AUTH", "azure")
            .with("IDENTITY_ENDPOINT", &self.identity.url)
            .with("IDENTITY_HEADER", HEADER)
            .with("AZURE_CLIENT_ID", CLIENT_ID)
    }

    /// No credential may be in a log, even at debug level.
    fn tells_nothing(&self, ended: Ended) -> Ended {
        let password = STANDARD.encode(format!("{}:{}", LOGIN.0, LOGIN.1));
        let secrets = [LOGIN.1.to_owned(), password, HEADER.to_owned()];
        for secret in self.front.tokens().into_iter().chain(self.identity.tokens()).chain(secrets) {
            assert!(!ended.stderr.contains(&secret), "`{secret}` is in the log: {}", ended.stderr);
        }
        ended
    }
}

#[test]
fn the_identity_s_token_is_exchanged_for_one_of_the_registry() {
    let guarded = guarded();
    let host = guarded.with_identity();
    let digest = host.push(&host.component("order.wasm", false), &guarded.tag);
    for address in [&guarded.tag, &digest] {
        let ran = guarded.tells_nothing(host.run(address, &[]).succeeded());
        assert_eq!(ran.json()["completed"], 1);
    }
    let asked = guarded.identity.requests();
    assert!(asked[0].contains("containerregistry.azure.net"), "{asked:?}");
    let exchanges = guarded.front.calls().iter().filter(|call| *call == "POST /oauth2/exchange").count();
    assert_eq!((exchanges, asked.len()), (2, 2), "one to push, and one to pull: {asked:?}");

    // It knows the identity, and nobody allowed it anything.
    guarded.front.fate(|_, path| {
        if path.starts_with("/oauth2/token") { Fate::Refuse(403, "DENIED") } else { Fate::Pass }
    });
    host.forget();
    let denied = guarded.tells_nothing(host.run(&digest, &["--hold", "0"]).ends_with(3));
    denied.says(&["the identity"]);
}

#[test]
fn an_identity_that_gives_no_token_or_the_wrong_one_is_named() {
    let guarded = guarded();
    let host = guarded.with_identity().with("AZURE_CLIENT_ID", "another");
    let ran = guarded.tells_nothing(host.run(&guarded.tag, &["--hold", "0"]).ends_with(3));
    ran.says(&["the managed identity gave no token", "client id is another (AZURE_CLIENT_ID)"]);
}

#[test]
fn a_login_comes_from_the_environment_or_from_docker_s_configuration() {
    let guarded = guarded();
    let (user, password) = LOGIN;
    let host =
        Host::new().with("LONGSHORE_REGISTRY_USER", user).with("LONGSHORE_REGISTRY_PASSWORD", password);
    let component = host.component("order.wasm", false);
    host.push(&component, &guarded.tag);
    assert_eq!(guarded.tells_nothing(host.run(&guarded.tag, &[]).succeeded()).json()["completed"], 1);

    let host = Host::new();
    std::fs::create_dir(host.path(".docker")).unwrap();
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let config = serde_json::json!({ "auths": { guarded.front.name(): { "auth": auth } } });
    std::fs::write(host.path(".docker/config.json"), config.to_string()).unwrap();
    assert_eq!(guarded.tells_nothing(host.run(&guarded.tag, &[]).succeeded()).json()["completed"], 1);

    let wrong = host.with("LONGSHORE_REGISTRY_USER", user).with("LONGSHORE_REGISTRY_PASSWORD", "guessed");
    wrong.forget();
    let ran = guarded.tells_nothing(wrong.run(&guarded.tag, &["--hold", "0"]).ends_with(3));
    ran.says(&["does not accept this login"]);
    let pushed = wrong.start(&["push", component.to_str().unwrap(), &guarded.tag]);
    assert_eq!(pushed.code(), 3, "no right is a fault of the configuration: {pushed:?}");
    pushed.says(&["cannot push to", "does not accept this login"]);
    let inspected = wrong.start(&["inspect", &guarded.tag]);
    assert_eq!(inspected.code(), 3, "{inspected:?}");
    inspected.says(&["cannot fetch the component", "does not accept this login"]);

    let half = Host::new().with("LONGSHORE_REGISTRY_USER", user);
    half.run(&guarded.tag, &["--hold", "0"]).ends_with(3).says(&["only one of LONGSHORE_REGISTRY_USER"]);
    let nobody = Host::new();
    nobody.run(&guarded.tag, &["--hold", "0"]).ends_with(3).says(&["does not accept anonymous callers"]);
    let nobody_else = nobody.run(&guarded.tag, &["--registry-auth", "login", "--hold", "0"]).ends_with(3);
    nobody_else.says(&["there is no login for"]);
}
