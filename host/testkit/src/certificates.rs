//! TLS for servers of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes an authority (`ca.pem`) and a certificate (`server.pem`, `server.key`) for one name, such as `IP:127.0.0.1` or
/// `DNS:localhost`, and returns the authority's file.
pub fn make(directory: &Path, name: &str) -> PathBuf {
    let script = "
        set -e
        key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $key -days 2 -subj '/CN=longshore tests' -keyout ca.key -out ca.pem \
            -addext keyUsage=critical,keyCertSign
        openssl req $key -subj /CN=server -keyout server.key -out server.csr
        printf 'subjectAltName=%s\\nextendedKeyUsage=serverAuth\\n' \"$1\" > extensions
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile extensions -out server.pem";
    let made = Command::new("sh").args(["-c", script, "sh", name]).current_dir(directory).output().unwrap();
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    directory.join("ca.pem")
}
