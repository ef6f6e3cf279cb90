//! What stands before the registry: it asks for tokens as Azure Container Registry does ([token
//! authentication](https://distribution.github.io/distribution/spec/auth/token/),
//! [oauth2/exchange](https://learn.microsoft.com/rest/api/containerregistry/authentication/exchange-aad-access-token-for-acr-refresh-token)),
//! and spoils answers where a test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::registry::exchange::exchange;
use crate::registry::server::Registry;
use longshore_testkit::identity::Identity;

/// The login that the front knows beside the identity.
pub const LOGIN: (&str, &str) = ("ann", "a-password-of-ann");

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    Pass,
    /// The registry is not asked: this status, and the specification's error with this code.
    Refuse(u16, &'static str),
    /// Half of the answer's body comes, then the connection ends.
    Cut,
    /// Half of the answer's body comes, as if that were all of it.
    Shorten,
    /// One byte of the answer's body is another.
    Spoil,
}

type Decide = Box<dyn Fn(&str, &str) -> Fate + Send + Sync>;

/// A front, whose threads end with the tests.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    port: u16,
    registry: u16,
    /// Whose tokens are exchanged; `None`: nobody is asked who they are.
    identity: Option<Identity>,
    decide: Mutex<Decide>,
    calls: Mutex<Vec<String>>,
    /// What was handed out: refresh tokens, and access tokens with their scopes.
    issued: Mutex<Vec<(String, String)>>,
}

impl Front {
    pub fn start(registry: &Registry, identity: Option<&Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = Self(Arc::new(Inner {
            port: listener.local_addr().unwrap().port(),
            registry: registry.port,
            identity: identity.cloned(),
            decide: Mutex::new(Box::new(|_, _| Fate::Pass)),
            calls: Mutex::default(),
            issued: Mutex::default(),
        }));
        let serving = front.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream.unwrap()));
            }
        });
        front
    }

    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// From now on, calls (method and path) have this fate.
    pub fn fate(&self, decide: impl Fn(&str, &str) -> Fate + Send + Sync + 'static) {
        *self.0.decide.lock().unwrap() = Box::new(decide);
    }

    /// Methods and paths that were asked for so far.
    pub fn calls(&self) -> Vec<String> {
        self.0.calls.lock().unwrap().clone()
    }

    /// Every token handed out.
    pub fn tokens(&self) -> Vec<String> {
        self.0.issued.lock().unwrap().iter().map(|(token, _)| token.clone()).collect()
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let request = Request::read(&stream)?;
        self.0.calls.lock().unwrap().push(format!("{} {}", request.method, request.path));
        let fate = (self.0.decide.lock().unwrap())(&request.method, &request.path);
        let (head, body) = match fate {
            Fate::Refuse(status, code) => refusal(status, code, ""),
            _ => self.serve(&request),
        };
        let half = body.len() / 2;
        let (length, body) = match fate {
            Fate::Cut => (body.len(), body[..half].to_vec()),
            Fate::Shorten => (half, body[..half].to_vec()),
            Fate::Spoil => {
                (body.len(), body.iter().enumerate().map(|(n, b)| b ^ u8::from(n == half)).collect())
            }
            Fate::Pass | Fate::Refuse(..) => (body.len(), body),
        };
        let keep = |line: &&str| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("content-length:")
                && !line.starts_with("connection:")
                && !line.starts_with("transfer-encoding:")
        };
        let head: Vec<&str> = head.lines().filter(|line| !line.is_empty()).filter(keep).collect();
        // The answer to HEAD tells the length of what GET would bring.
        let length =
            if request.method == "HEAD" { String::new() } else { format!("content-length: {length}\r\n") };
        write!(stream, "{}\r\n{length}connection: close\r\n\r\n", head.join("\r\n")).ok()?;
        stream.write_all(&body).ok()?;
        stream.shutdown(Shutdown::Write).ok()
    }

    fn serve(&self, request: &Request) -> (String, Vec<u8>) {
        let Some(identity) = &self.0.identity else { return request.forward(self.0.registry) };
        let form = |text: &str, name: &str| {
            let pairs = url::form_urlencoded::parse(text.as_bytes());
            pairs
                .into_iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match (request.method.as_str(), path) {
            ("POST", "/oauth2/exchange") => {
                let body = String::from_utf8_lossy(&request.body);
                let known = identity.tokens().contains(&form(&body, "access_token"));
                let right =
                    form(&body, "grant_type") == "access_token" && form(&body, "service") == self.name();
                if known && right {
                    json(&serde_json::json!({ "refresh_token": self.issue("refresh") }))
                } else {
                    refusal(401, "UNAUTHORIZED", "")
                }
            }
            ("GET", "/oauth2/token") => {
                let login = request.header("authorization").and_then(|value| {
                    let text = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
                    String::from_utf8(text).ok()
                });
                let (user, password) = login.as_deref().and_then(|it| it.split_once(':')).unwrap_or_default();
                let exchanged = user == "00000000-0000-0000-0000-000000000000"
                    && self.0.issued.lock().unwrap().contains(&(password.to_owned(), "refresh".to_owned()));
                if exchanged || (user, password) == LOGIN {
                    json(&serde_json::json!({ "access_token": self.issue(&form(query, "scope")) }))
                } else {
                    refusal(401, "UNAUTHORIZED", "")
                }
            }
            _ => {
                let challenge = format!(
                    "www-authenticate: Bearer realm=\"http://{0}/oauth2/token\",service=\"{0}\"\r\n",
                    self.name()
                );
                let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
                let issued = self.0.issued.lock().unwrap().clone();
                let Some((_, scope)) = issued.iter().find(|(issued, _)| Some(issued.as_str()) == token)
                else {
                    return refusal(401, "UNAUTHORIZED", &challenge);
                };
                let mut parts = scope.splitn(3, ':');
                let (repository, actions) =
                    (parts.nth(1).unwrap_or_default(), parts.next().unwrap_or_default());
                let writes = !matches!(request.method.as_str(), "GET" | "HEAD");
                let allowed = path.starts_with(&format!("/v2/{repository}/"))
                    && actions.split(',').any(|action| action == if writes { "push" } else { "pull" });
                if allowed { request.forward(self.0.registry) } else { refusal(403, "DENIED", "") }
            }
        }
    }

    fn issue(&self, scope: &str) -> String {
        let mut issued = self.0.issued.lock().unwrap();
        let token = format!("token-{}-of-{}", issued.len(), self.0.port);
        issued.push((token.clone(), scope.to_owned()));
        token
    }
}

struct Request {
    method: String,
    path: String,
    head: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let mut words = head.first()?.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut request = Self { method, path, head, body: Vec::new() };
        let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.iter().skip(1).filter_map(|line| line.split_once(':'));
        headers.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn forward(&self, port: u16) -> (String, Vec<u8>) {
        let own = |line: &&String| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("connection:") && !line.starts_with("authorization:")
        };
        let head: Vec<&str> = self.head.iter().filter(own).map(String::as_str).collect();
        let mut request = format!("{}\r\nconnection: close\r\n\r\n", head.join("\r\n")).into_bytes();
        request.extend_from_slice(&self.body);
        exchange(port, &request)
    }
}

fn refusal(status: u16, code: &str, headers: &str) -> (String, Vec<u8>) {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": "refused by the test" }] });
    (format!("HTTP/1.1 {status} Refused\r\n{headers}"), body.to_string().into_bytes())
}

fn json(value: &serde_json::Value) -> (String, Vec<u8>) {
    ("HTTP/1.1 200 OK\r\ncontent-type: application/json".into(), value.to_string().into_bytes())
}
