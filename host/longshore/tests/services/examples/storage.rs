//! The storage accounts of the examples' tests, and the tests' own calls there.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::{Arc, OnceLock};

use longshore_testkit::identity::{CLIENT_ID, HEADER};
use serde_json::Value;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::storage::azurite::ACCOUNT;
use crate::storage::storage_account::{StorageAccount, private_address};

/// What the account answers.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    /// The JSON in its body.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The account that all tests share, on loopback.
pub fn storage() -> &'static StorageAccount {
    static LOOPBACK: OnceLock<StorageAccount> = OnceLock::new();
    LOOPBACK.get_or_init(|| prepared(Ipv4Addr::LOCALHOST.into()))
}

/// The same at an address that a virtual network could have.
pub fn private_storage() -> &'static StorageAccount {
    static PRIVATE: OnceLock<StorageAccount> = OnceLock::new();
    PRIVATE.get_or_init(|| prepared(private_address()))
}

/// With the containers `orders` and `payments`, and the table `bookings`.
fn prepared(address: IpAddr) -> StorageAccount {
    let account = StorageAccount::at(address);
    for container in ["orders", "payments"] {
        let made = account.blob("PUT", &format!("{container}?restype=container"), b"");
        assert_eq!(made.status, 201, "{made:?}");
    }
    let table = account.table("POST", "Tables", br#"{"TableName":"bookings"}"#);
    assert!([201, 204].contains(&table.status), "{table:?}");
    account
}

impl StorageAccount {
    /// Asks for something of the blobs: `CONTAINER/NAME`, or with a query.
    pub fn blob(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.call(self.blob_port, method, path, "x-ms-blob-type: BlockBlob\r\n", body)
    }

    /// Asks for something of the tables, as JSON.
    pub fn table(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let json = "accept: application/json;odata=nometadata\r\ncontent-type: application/json\r\n";
        self.call(self.table_port, method, path, json, body)
    }

    fn call(&self, port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.authority).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerName::from(self.address);
        let connection = ClientConnection::new(Arc::new(config), server).unwrap();
        let stream = TcpStream::connect((self.address, port)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        write!(
            stream,
            "{method} /{ACCOUNT}/{path} HTTP/1.0\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             x-ms-version: 2020-12-06\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            self.token(),
            body.len()
        )
        .unwrap();
        stream.write_all(body).unwrap();
        stream.flush().unwrap();
        let mut answer = Vec::new();
        // A server that closes without TLS's own goodbye is an error here; what it said is there.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        Answer { status: head[9..12].parse().unwrap(), body: body.to_owned() }
    }

    /// A token for the tests' own calls, from the same endpoint.
    fn token(&self) -> String {
        let url: url::Url = self.identity.url.parse().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).unwrap();
        let query = format!("resource=https://storage.azure.com&client_id={CLIENT_ID}");
        write!(stream, "GET {}?{query} HTTP/1.0\r\nx-identity-header: {HEADER}\r\n\r\n", url.path()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let token: Value = serde_json::from_str(body).unwrap();
        token["access_token"].as_str().unwrap().to_owned()
    }
}
