//! Handlers that reach blobs and tables with the host's identity, and have no token themselves:
//! through the real binary, on Azurite's services, behind the identity endpoint.

use longshore_testkit::guest;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Mood};
use longshore_testkit::program::{Ended, Program};

use crate::storage::logs;
use crate::storage::storage_account::{SCOPE, StorageAccount, private_address};

const VERSION: &str = "x-ms-version: 2021-12-02";

impl StorageAccount {
    fn program(&self, arguments: &[&str]) -> Program {
        let home = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), home);
        program.behind_a_dead_proxy().args(arguments);
        program.env("LONGSHORE_CACHE_DIR", home.join("compiled")).env("SSL_CERT_FILE", &self.authority);
        program.env("IDENTITY_ENDPOINT", &self.identity.url).env("IDENTITY_HEADER", HEADER);
        program.env("AZURE_CLIENT_ID", CLIENT_ID);
        program
    }

    /// What a handler with these grants is answered.
    fn ask(&self, grants: &[String], request: &str) -> String {
        let mut invoke =
            self.program(&["invoke", "--outbox=invoices=file:./invoices", "--config=greeting=hello"]);
        invoke.arg(format!("--allow-private={}", self.address)).args(grants);
        invoke.arg("--component").arg(guest::rogue()).arg(format!("ask:{request}"));
        self.said(invoke.run())
    }

    fn said(&self, ended: Ended) -> String {
        logs::check(&ended.stderr, &self.identity.tokens());
        logs::check(&ended.stdout, &self.identity.tokens());
        ended.stdout + &ended.stderr
    }

    fn grant(place: &str) -> String {
        format!("--http-identity={place}={SCOPE}")
    }

    /// What `check` finds out about one grant.
    fn check(&self, grant: &str) -> Vec<(String, String)> {
        let queue = format!("--queue=file:{}/orders", self.directory.path().display());
        self.program(&["queue", "create", &queue]).run().succeeded();
        let ended = self.program(&["check", &queue, "--output=json", grant]).run();
        let of_identity = |it: &serde_json::Value| {
            let check = it["check"].as_str()?.strip_prefix("identity ")?.to_owned();
            Some((check, it["result"].as_str()?.to_owned()))
        };
        ended.json_lines().iter().filter_map(of_identity).collect()
    }
}

fn found(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(check, result)| ((*check).to_owned(), (*result).to_owned())).collect()
}

#[test]
fn a_handler_writes_and_reads_blobs_of_its_container_and_of_no_other() {
    for address in ["127.0.0.1".parse().unwrap(), private_address()] {
        let storage = StorageAccount::at(address);
        let blobs = storage.blobs();
        let all = [StorageAccount::grant(&blobs)];
        for container in ["orders", "keys"] {
            let made = format!("PUT https://{blobs}/{container}?restype=container\n{VERSION}\n\n");
            let said = storage.ask(&all, &made);
            assert!(said.contains("201|"), "{said}");
        }
        let orders = [StorageAccount::grant(&format!("{blobs}/orders"))];
        let put = format!("PUT https://{blobs}/orders/o-1.json\n{VERSION}\nx-ms-blob-type: BlockBlob");
        let said = storage.ask(&orders, &format!("{put}\nif-none-match: *\n\n{{\"order_id\":1}}"));
        assert!(said.contains("201|"), "{said}");
        let said = storage.ask(&orders, &format!("GET https://{blobs}/orders/o-1.json\n{VERSION}"));
        assert!(said.contains("200|") && said.contains(r#"order_id"#), "{said}");
        // Exactly once: a repeated delivery meets what the first one wrote.
        let said = storage.ask(&orders, &format!("{put}\nif-none-match: *\n\nsecond"));
        assert!(said.contains("409|") && said.contains("BlobAlreadyExists"), "{said}");
        for refused in [
            format!("GET https://{blobs}/keys/k\n{VERSION}"),
            format!("GET https://{blobs}/?comp=list\n{VERSION}"),
            format!("GET https://{blobs}/orders/../keys/k\n{VERSION}"),
            format!("{put}\nx-ms-copy-source: https://{blobs}/keys/k\n\n"),
            format!("POST https://{blobs}/orders?comp=batch&restype=container\n{VERSION}\n\n"),
            format!("PUT https://{blobs}/orders?comp=acl&restype=container\n{VERSION}\n\n"),
        ] {
            let said = storage.ask(&orders, &refused);
            assert!(said.contains("HttpRequestDenied"), "{refused}: {said}");
        }
        // Within the container a copy is one more request.
        let said = storage.ask(&orders, &format!("PUT https://{blobs}/orders/copy\n{VERSION}\nx-ms-copy-source: https://{blobs}/orders/o-1.json\n\n"));
        assert!(said.contains("202|"), "{said}");
        assert!(
            storage
                .identity
                .requests()
                .iter()
                .all(|it| it.contains("resource=https%3A%2F%2Fstorage.azure.com&"))
        );
    }
}

#[test]
fn a_handler_keeps_rows_of_its_table_and_of_no_other() {
    let storage = StorageAccount::at("127.0.0.1".parse().unwrap());
    let tables = storage.tables();
    let json =
        "x-ms-version: 2020-12-06\naccept: application/json;odata=nometadata\ncontent-type: application/json";
    for table in ["orders", "keys"] {
        let made = format!("POST https://{tables}/Tables\n{json}\n\n{{\"TableName\":\"{table}\"}}");
        let said = storage.ask(&[StorageAccount::grant(&tables)], &made);
        assert!(said.contains("201|"), "{said}");
    }
    let orders = [StorageAccount::grant(&format!("{tables}/orders"))];
    let row = r#"{"PartitionKey":"2026","RowKey":"o-1","state":"new"}"#;
    let insert = format!("POST https://{tables}/orders\n{json}\n\n{row}");
    let said = storage.ask(&orders, &insert);
    assert!(said.contains("201|"), "{said}");
    let said = storage.ask(&orders, &insert);
    assert!(said.contains("409|") && said.contains("EntityAlreadyExists"), "{said}");
    let said = storage
        .ask(&orders, &format!("GET https://{tables}/orders(PartitionKey='2026',RowKey='o-1')\n{json}"));
    assert!(said.contains("200|") && said.contains("new"), "{said}");
    let said = storage.ask(&orders, &format!("GET https://{tables}/orders()?$top=5\n{json}"));
    assert!(said.contains("200|") && said.contains("o-1"), "{said}");
    for refused in ["GET keys()", "GET Tables", "POST $batch", "GET keys(PartitionKey='2026',RowKey='o-1')"] {
        let (method, path) = refused.split_once(' ').unwrap();
        let said = storage.ask(&orders, &format!("{method} https://{tables}/{path}\n{json}"));
        assert!(said.contains("HttpRequestDenied"), "{refused}: {said}");
    }
}

#[test]
fn a_private_address_is_reached_only_where_that_is_granted_as_well() {
    let storage = StorageAccount::at(private_address());
    let grant = StorageAccount::grant(&storage.blobs());
    let mut invoke =
        storage.program(&["invoke", "--outbox=invoices=file:./invoices", "--config=greeting=hello"]);
    invoke.arg(grant).arg("--component").arg(guest::rogue());
    invoke.arg(format!("ask:GET https://{}/?comp=list\n{VERSION}", storage.blobs()));
    let said = storage.said(invoke.run());
    assert!(said.contains("DestinationIpProhibited") && said.contains("--allow-private"), "{said}");
    // A token is fetched before a connection is opened, and goes nowhere without one.
    assert!(!said.contains("200|"), "{said}");
}

#[test]
fn check_says_whether_the_identity_is_let_in_and_what_only_a_write_would_tell() {
    let storage = StorageAccount::at("127.0.0.1".parse().unwrap());
    let (blobs, tables) = (storage.blobs(), storage.tables());
    let all = [StorageAccount::grant(&blobs), StorageAccount::grant(&tables)];
    storage.ask(&all, &format!("PUT https://{blobs}/orders?restype=container\n{VERSION}\n\n"));
    let json =
        "x-ms-version: 2020-12-06\naccept: application/json;odata=nometadata\ncontent-type: application/json";
    storage.ask(&all, &format!("POST https://{tables}/Tables\n{json}\n\n{{\"TableName\":\"orders\"}}"));
    let (let_in, missing) = (
        found(&[("token", "yes"), ("reads", "allowed"), ("writes", "unknown")]),
        found(&[("token", "yes"), ("reads", "no"), ("writes", "unknown")]),
    );
    for service in [&blobs, &tables] {
        assert_eq!(storage.check(&StorageAccount::grant(service)), let_in, "{service}");
        assert_eq!(storage.check(&StorageAccount::grant(&format!("{service}/orders"))), let_in, "{service}");
        assert_eq!(
            storage.check(&StorageAccount::grant(&format!("{service}/missing"))),
            missing,
            "{service}"
        );
    }
    let reads = storage.check(&StorageAccount::grant(&format!("GET,HEAD {blobs}/orders")));
    assert_eq!(reads, found(&[("token", "yes"), ("reads", "allowed")]));
    let writes = storage.check(&StorageAccount::grant(&format!("PUT {blobs}/orders")));
    assert_eq!(writes, found(&[("token", "yes"), ("reads", "unknown"), ("writes", "unknown")]));
    storage.identity.turn(&[Mood::WrongAudience]);
    let denied = storage.check(&StorageAccount::grant(&format!("{blobs}/orders")));
    assert_eq!(denied[1], ("reads".into(), "denied".into()), "{denied:?}");
}
