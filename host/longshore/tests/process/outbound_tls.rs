//! Which servers a handler's requests trust.

use std::path::Path;

use longshore_testkit::echo::Server;
use longshore_testkit::{certificates, guest};

use crate::process::{cache, longshore};

#[tokio::test]
async fn a_server_is_trusted_by_the_authorities_of_ssl_cert_file_and_by_its_name_only() {
    let [ours, others] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    certificates::make(ours.path(), "DNS:localhost");
    certificates::make(others.path(), "DNS:localhost");
    let server = Server::start_with_tls(ours.path()).await;
    let (named, unnamed) = (format!("localhost:{}", server.port), format!("127.0.0.1:{}", server.port));
    // By the binary: which authorities it trusts is a variable of its process.
    let invoke = async |host: &str, authority: &Path| {
        let grants = ["--outbox=invoices=file:./invoices", "--config=greeting=hello"];
        let mut invoke = longshore(["invoke"]);
        invoke.args(grants).arg("--cache-dir").arg(cache());
        invoke.args(["--allow-private=127.0.0.0/8", "--allow-http", host]);
        invoke.arg("--component").arg(guest::rogue()).arg(format!("get:https://{host}/orders"));
        invoke.env("SSL_CERT_FILE", authority.join("ca.pem"));
        // The server answers on this test's own thread.
        let ended = tokio::task::spawn_blocking(move || invoke.run()).await.unwrap();
        ended.stdout + &ended.stderr
    };
    let said = invoke(&named, ours.path()).await;
    assert!(said.contains("200 ") && said.contains("GET /orders HTTP/1.1|"), "{said}");
    for (host, authority) in [(&named, others.path()), (&unnamed, ours.path())] {
        let said = invoke(host, authority).await;
        assert!(said.contains("TlsCertificateError") && !said.contains("200 "), "{host}: {said}");
    }
    assert_eq!(server.reached(), 3);
}
