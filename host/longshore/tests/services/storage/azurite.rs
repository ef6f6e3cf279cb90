//! Azurite, started by the tests on free ports, and ended with them.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_azure::{Azure, Credential};
use longshore_queue::{Queue, QueueUrl};
use longshore_queue_drivers::storage::StorageQueue;
use sha2::{Digest, Sha256};

use longshore_testkit::wait::until;
use longshore_testkit::{certificates, needs};

pub const ACCOUNT: &str = "devstoreaccount1";
/// The key of every Azurite, which Microsoft publishes.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Where the clients and servers of other people are installed.
pub fn installed(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/storage");
    needs::file(folder.join(path), needs::SERVICES)
}

/// A running server. It ends when its standard input does: with this value, or with the tests.
pub struct Azurite {
    child: Child,
    _stdin: ChildStdin,
    /// `http://127.0.0.1:PORT`, or https.
    pub origin: String,
    pub port: u16,
    /// The certificate of the authority that signed the server's, where it has one.
    pub authority: Option<PathBuf>,
    _directory: tempfile::TempDir,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One for all tests that come with a SAS, over plain HTTP.
pub fn plain() -> &'static Azurite {
    static PLAIN: OnceLock<Azurite> = OnceLock::new();
    PLAIN.get_or_init(|| Azurite::start(false))
}

/// One for all tests that come with a token, over HTTPS.
pub fn secure() -> &'static Azurite {
    static SECURE: OnceLock<Azurite> = OnceLock::new();
    SECURE.get_or_init(|| Azurite::start(true))
}

impl Azurite {
    fn start(secure: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = needs::program("node", needs::SERVICES);
        command
            .arg(installed("node/azurite.js"))
            .args(["--silent", "--disableTelemetry", "--inMemoryPersistence", "--queueHost", "127.0.0.1"])
            .args(["--queuePort", &port.to_string()])
            .current_dir(&directory);
        installed("node/node_modules");
        let authority = secure.then(|| {
            let authority = certificates::make(directory.path(), "IP:127.0.0.1");
            command.args(["--oauth", "basic", "--cert", "server.pem", "--key", "server.key"]);
            authority
        });
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        until(format_args!("Azurite, to listen on port {port}"), || {
            assert!(child.try_wait().unwrap().is_none(), "Azurite has ended");
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let scheme = if secure { "https" } else { "http" };
        let origin = format!("{scheme}://127.0.0.1:{port}");
        Self { child, _stdin: stdin, origin, port, authority, _directory: directory }
    }

    /// The URL of a queue, without a signature.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.origin)
    }

    /// The URL of a queue, with a signature.
    pub fn signed(&self, name: &str) -> String {
        format!("{}?{}", self.url(name), signature())
    }

    /// A queue that no test has had before, and which does not exist yet.
    pub fn queue(&self) -> Arc<dyn Queue> {
        self.named(&fresh())
    }

    pub fn named(&self, name: &str) -> Arc<dyn Queue> {
        open(&self.signed(name), Duration::from_secs(20))
    }
}

/// A name that no test has had before.
pub fn fresh() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("orders-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A queue with connections of its own, since each test has a runtime of its own.
pub fn open(url: &str, limit: Duration) -> Arc<dyn Queue> {
    let url: QueueUrl = url.parse().unwrap();
    Arc::new(StorageQueue::open(url, &Azure::new(Credential::Auto)).unwrap().with_limit(limit))
}

/// A signature for everything ([Create an account
/// SAS](https://learn.microsoft.com/rest/api/storageservices/create-account-sas)).
pub fn signature() -> String {
    let (permissions, expiry, version) = ("rwdlacup", "2999-01-01T00:00:00Z", "2019-12-12");
    let text = format!("{ACCOUNT}\n{permissions}\nq\nsco\n\n{expiry}\n\n\n{version}\n");
    let signature = STANDARD.encode(hmac_sha256(&STANDARD.decode(KEY).unwrap(), text.as_bytes()));
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("sv", version), ("ss", "q"), ("srt", "sco"), ("sp", permissions), ("se", expiry)])
        .append_pair("sig", &signature)
        .finish()
}

/// RFC 2104, for keys of at most 64 bytes.
fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        key.iter().zip(&mut block).for_each(|(key, byte)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}
