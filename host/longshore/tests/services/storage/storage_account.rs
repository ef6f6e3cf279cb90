//! A storage account: Azurite's blobs, queues and tables over HTTPS, which take tokens, and the
//! identity endpoint that hands them out.

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};

use longshore_testkit::identity::{Identity, Mood};
use longshore_testkit::wait::until;
use longshore_testkit::{certificates, needs};
use tempfile::TempDir;

use crate::storage::azurite::{ACCOUNT, installed};

/// For whom a token is that the account takes. Of Azurite's services the host knows no scope.
pub const SCOPE: &str = "https://storage.azure.com/.default";

/// The account. It ends when its standard input does: with this value, or with the tests.
pub struct StorageAccount {
    child: Child,
    _stdin: ChildStdin,
    pub address: IpAddr,
    pub blob_port: u16,
    pub table_port: u16,
    /// The certificate of the authority that signed the server's.
    pub authority: PathBuf,
    pub identity: Identity,
    /// Nobody else's files are in it.
    pub directory: TempDir,
}

impl Drop for StorageAccount {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl StorageAccount {
    /// Without a container or a table, at this address of the machine's.
    pub fn at(address: IpAddr) -> Self {
        (0..3).find_map(|_| Self::start(address)).expect("Azurite to start")
    }

    /// `None` if it ends at once: another program has taken one of the ports that it was given.
    fn start(address: IpAddr) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        // All are held until each is drawn, so that no two are the same.
        let listeners = [(); 3].map(|()| TcpListener::bind((address, 0)).unwrap());
        let [blob_port, queue_port, table_port] = listeners.map(|it| it.local_addr().unwrap().port());
        let authority = certificates::make(directory.path(), &format!("IP:{address}"));
        installed("node/node_modules");
        let mut command = needs::program("node", needs::SERVICES);
        command.arg(installed("node/azurite-all.js")).current_dir(&directory);
        command.args(["--silent", "--disableTelemetry", "--inMemoryPersistence", "--oauth", "basic"]);
        // The SDKs speak a newer version than Azurite knows.
        command.args(["--skipApiVersionCheck", "--cert", "server.pem", "--key", "server.key"]);
        for (service, port) in [("blob", blob_port), ("queue", queue_port), ("table", table_port)] {
            command.args([format!("--{service}Host"), address.to_string()]);
            command.args([format!("--{service}Port"), port.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        for port in [blob_port, table_port] {
            until(format_args!("Azurite, to listen on port {port}"), || {
                let is_over = child.try_wait().unwrap().is_some();
                (is_over || TcpStream::connect((address, port)).is_ok()).then_some(())
            });
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        let identity = Identity::start(Mood::Tokens(3600));
        Some(Self { child, _stdin: stdin, address, blob_port, table_port, authority, identity, directory })
    }

    /// Where the account's blobs are: `HOST:PORT/ACCOUNT`.
    pub fn blobs(&self) -> String {
        format!("{}:{}/{ACCOUNT}", self.address, self.blob_port)
    }

    /// Where its tables are.
    pub fn tables(&self) -> String {
        format!("{}:{}/{ACCOUNT}", self.address, self.table_port)
    }
}

/// An address of this machine that is not loopback, and not public.
pub fn private_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("198.51.100.1:9").expect("this machine has a network");
    socket.local_addr().unwrap().ip()
}
