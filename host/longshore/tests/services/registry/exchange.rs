//! One call of HTTP, written and read by hand.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a request that asks for the connection's end, and reads the answer up to it.
pub fn exchange(port: u16, request: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let body = answer[end + 4..].to_vec();
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "not understood: {head}");
    (head, body)
}
