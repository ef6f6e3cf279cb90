//! What a hostile peer answers.

/// A token that expired in 1970.
pub const LONG_AGO: &str =
    r#"{"access_token":"swordfish7","expires_on":"-1","token_type":"Bearer","resource":"r"}"#;

/// An answer that is well formed and absurd, of one protocol.
#[derive(Clone, Copy, Debug)]
pub struct Absurd {
    pub name: &'static str,
    pub headers: &'static str,
    pub body: &'static str,
}

/// One way to answer.
#[derive(Clone, Debug)]
pub enum Hostile {
    /// Nothing is ever said.
    Silence,
    /// These bytes, and then the connection ends.
    Bytes(Vec<u8>),
    /// This once, and then that without end, as fast as it goes.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, one each tenth of a second, and then more of the last one.
    Slow(Vec<u8>),
    /// A redirect to the same URL, which is well formed.
    RedirectToItself,
    /// A redirect to somebody else.
    RedirectElsewhere,
}

fn whole(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// All answers that are hostile in every protocol, with their names.
pub fn common() -> Vec<(&'static str, Hostile)> {
    const HTML: &[u8] = b"<html><body>a proxy's page</body></html>";
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let bytes = |text: &str| text.as_bytes().to_vec();
    let json = |status: &str, headers: &str, body: &str| {
        let headers = format!("content-type: application/json\r\n{headers}");
        Hostile::Bytes(whole(status, &headers, body.as_bytes()))
    };
    let says = "x-ms-error-code: Bad\x1b]52;c;cHdu\x07\r\n";
    let forged = r#"{"error":{"code":"C","message":"\u001b]52;c;cHdu\u0007\nforged \u202eline"},"message":"\u001b[2J\nforged"}"#;
    vec![
        ("silence", Hostile::Silence),
        ("closed", Hostile::Bytes(Vec::new())),
        ("slow-head", Hostile::Slow(bytes("HTTP/1.1 200 OK\r\nx-slow: "))),
        ("slow-body", Hostile::Slow(bytes(&format!("{OK}content-length: 100000000\r\n\r\n{{\"a\":\"")))),
        ("endless-head", Hostile::Endless(bytes(OK), bytes("x-more: and more and more and more\r\n"))),
        ("endless-header", Hostile::Endless(bytes("HTTP/1.1 200 OK\r\nx-long: "), vec![b'a'; 65_536])),
        ("endless-interim", Hostile::Endless(Vec::new(), bytes("HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"))),
        (
            "endless-body",
            Hostile::Endless(bytes(&format!("{OK}\r\n{{\"access_token\":\"")), vec![b'a'; 65_536]),
        ),
        (
            "endless-chunks",
            Hostile::Endless(
                bytes(&format!("{OK}transfer-encoding: chunked\r\n\r\n")),
                [b"10000\r\n", &vec![b' '; 65_536][..], b"\r\n"].concat(),
            ),
        ),
        ("endless-refusal", Hostile::Endless(bytes("HTTP/1.1 403 Forbidden\r\n\r\n"), vec![b'a'; 65_536])),
        ("wrong-type", Hostile::Bytes(whole("200 OK", "content-type: text/html\r\n", HTML))),
        ("empty", Hostile::Bytes(whole("200 OK", "", b""))),
        ("no-content", Hostile::Bytes(bytes("HTTP/1.1 206 Partial Content\r\ncontent-length: 0\r\n\r\n"))),
        ("too-short", Hostile::Bytes(bytes(&format!("{OK}content-length: 1000\r\n\r\n{{\"value\":")))),
        ("negative-length", Hostile::Bytes(bytes(&format!("{OK}content-length: -1\r\n\r\n{{}}")))),
        (
            "absurd-length",
            Hostile::Bytes(bytes(&format!("{OK}content-length: 18446744073709551616\r\n\r\n{{}}"))),
        ),
        (
            "two-lengths",
            Hostile::Bytes(bytes(&format!("{OK}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"))),
        ),
        (
            "wrong-chunks",
            Hostile::Bytes(bytes(&format!("{OK}transfer-encoding: chunked\r\n\r\nxyz\r\n{{}}"))),
        ),
        (
            "gzip",
            Hostile::Bytes(whole(
                "200 OK",
                "content-encoding: gzip\r\n",
                b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0",
            )),
        ),
        ("no-utf8", Hostile::Bytes(whole("200 OK", "", b"\xff\xfe{\0\"\0a\0\xc0\x80"))),
        ("deep", Hostile::Bytes(whole("200 OK", "", &vec![b'['; 60_000]))),
        ("deep-xml", Hostile::Bytes(whole("200 OK", "", &b"<a>".repeat(20_000)))),
        ("no-http", Hostile::Bytes(bytes("SSH-2.0-OpenSSH_9.2\r\n"))),
        ("no-status", Hostile::Bytes(bytes("HTTP/1.1 99999 Whatever\r\n\r\n"))),
        ("strange-status", Hostile::Bytes(whole("999 Whatever", "", b"{}"))),
        ("fault", Hostile::Bytes(whole("500 Internal Server Error", "", HTML))),
        ("controls", Hostile::Bytes(whole("400 Bad Request", says, b"{}"))),
        ("forged", json("400 Bad Request", "", forged)),
        ("retry-for-ever", json("503 Busy", "retry-after: 18446744073709551615\r\n", "{}")),
        ("retry-never", json("429 Busy", "retry-after: -1\r\n", "{}")),
        ("retry-in-1970", json("503 Busy", "retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "{}")),
        ("redirect-loop", Hostile::RedirectToItself),
        ("redirect", Hostile::RedirectElsewhere),
    ]
}

/// The absurd answers of one protocol.
pub fn absurd(absurd: &'static [Absurd]) -> impl Iterator<Item = (&'static str, Hostile)> {
    absurd.iter().map(|it| (it.name, Hostile::Bytes(whole("200 OK", it.headers, it.body.as_bytes()))))
}
