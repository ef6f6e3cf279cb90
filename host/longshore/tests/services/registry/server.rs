//! Debian's registry, which ends with the test that started it.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};

use longshore_testkit::needs;
use longshore_testkit::wait::until;
use serde_json::Value;

use crate::registry::exchange::exchange;

/// A running registry, empty at first.
pub struct Registry {
    child: Child,
    /// The registry is ended when this is.
    stdin: Option<ChildStdin>,
    pub port: u16,
    directory: tempfile::TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            directory.path().join("blobs").display()
        );
        let file = directory.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        needs::program("docker-registry", needs::SERVICES);
        // It would outlive a test that is killed: the shell waits for the end of its input, and
        // ends the registry.
        let mut child = Command::new("sh")
            .args(["-c", r#"docker-registry serve "$0" & read -r line; kill $!"#])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let registry = Self { child, stdin, port, directory };
        until("the registry, to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
        registry
    }

    /// `127.0.0.1:PORT`.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A manifest, as anybody may read it.
    pub fn manifest(&self, repository: &str, tag: &str) -> Value {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: application/vnd.oci.image.manifest.v1+json\r\nconnection: close\r\n\r\n",
            self.name()
        );
        let (head, body) = exchange(self.port, head.as_bytes());
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_slice(&body).unwrap()
    }

    /// A blob, as anybody may read it.
    pub fn blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.name());
        exchange(self.port, request.as_bytes()).1
    }

    /// Pushes a manifest that `longshore push` would not write.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) {
        let body = manifest.to_string();
        let kind = manifest["mediaType"].as_str().unwrap();
        let request = format!(
            "PUT /v2/{repository}/manifests/{tag} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.name(),
            body.len()
        );
        let (head, body) = exchange(self.port, request.as_bytes());
        assert!(head.starts_with("HTTP/1.1 201"), "{head} {}", String::from_utf8_lossy(&body));
    }

    /// Ends it; its port answers nobody from then on.
    pub fn stop(&mut self) {
        self.stdin.take();
        self.child.wait().unwrap();
        until("the registry's end", || TcpStream::connect(("127.0.0.1", self.port)).err());
        assert!(self.directory.path().exists());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stdin.take();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
