//! A storage account: Azurite's blobs and tables over HTTPS, which take tokens, and the identity
//! endpoint that hands them out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, OnceLock};

use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::wait::until;
use longshore_testkit::{certificates, needs};
use serde_json::Value;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::storage::azurite::{ACCOUNT, installed};

/// The account, as all tests share it. It ends when its standard input does: with the tests.
pub struct Storage {
    _child: Child,
    _stdin: ChildStdin,
    blobs: u16,
    tables: u16,
    /// The certificate of the authority that signed the server's.
    pub authority: PathBuf,
    pub identity: Identity,
    _directory: tempfile::TempDir,
}

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

/// With the container `orders` and the table `bookings`.
pub fn storage() -> &'static Storage {
    static STORAGE: OnceLock<Storage> = OnceLock::new();
    STORAGE.get_or_init(|| {
        let storage = Storage::start();
        let container = storage.blob("PUT", "?restype=container", b"");
        assert_eq!(container.status, 201, "{container:?}");
        let table = storage.table("POST", "Tables", br#"{"TableName":"bookings"}"#);
        assert!([201, 204].contains(&table.status), "{table:?}");
        storage
    })
}

impl Storage {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = certificates::make(directory.path(), "IP:127.0.0.1");
        let [blobs, queues, tables] = ports();
        installed("node/node_modules");
        let mut command = needs::program("node", needs::SERVICES);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/examples/azurite.js"))
            .args(["--silent", "--disableTelemetry", "--inMemoryPersistence", "--oauth", "basic"])
            // The SDKs speak a newer version than Azurite knows.
            .args(["--skipApiVersionCheck", "--cert", "server.pem", "--key", "server.key"])
            .current_dir(&directory);
        for (service, port) in [("blob", blobs), ("queue", queues), ("table", tables)] {
            command.args([format!("--{service}Host"), "127.0.0.1".into()]);
            command.args([format!("--{service}Port"), port.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        for port in [blobs, tables] {
            until(format_args!("Azurite, to listen on port {port}"), || {
                assert!(child.try_wait().unwrap().is_none(), "Azurite has ended");
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        let identity = Identity::start(Mood::Tokens(3600));
        Self { _child: child, _stdin: stdin, blobs, tables, authority, identity, _directory: directory }
    }

    /// Where the account's blobs are: `HOST:PORT/ACCOUNT`.
    pub fn blobs(&self) -> String {
        format!("127.0.0.1:{}/{ACCOUNT}", self.blobs)
    }

    /// Where the account's tables are.
    pub fn tables(&self) -> String {
        format!("127.0.0.1:{}/{ACCOUNT}", self.tables)
    }

    /// Asks for something in the container: `/NAME`, or a query.
    pub fn blob(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let path = format!("/{ACCOUNT}/orders{path}");
        self.ask(self.blobs, method, &path, "x-ms-blob-type: BlockBlob\r\n", body)
    }

    /// Asks for something of the tables, as JSON.
    pub fn table(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let json = "accept: application/json;odata=nometadata\r\ncontent-type: application/json\r\n";
        self.ask(self.tables, method, &format!("/{ACCOUNT}/{path}"), json, body)
    }

    fn ask(&self, port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.authority).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n\
             x-ms-version: 2020-12-06\r\n{headers}content-length: {}\r\n\r\n",
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

/// Ports that nobody listens on.
fn ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|it| it.local_addr().unwrap().port())
}
