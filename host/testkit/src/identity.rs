//! A managed identity endpoint on loopback, as a Container App has it ([REST endpoint
//! reference](https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference)).

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What the platform puts into IDENTITY_HEADER.
pub const HEADER: &str = "a-secret-of-the-platform";
/// The client id of the only identity that is assigned.
pub const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";

/// How the endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// With a token that lives so many seconds.
    Tokens(u64),
    /// With a token for somebody else, which the service refuses.
    WrongAudience,
    /// It takes the request, and says nothing.
    Silent,
    /// It refuses with this status, whoever asks.
    Refuses(u16),
    /// With a token, and its time of expiry as a number, and without what it is for.
    Bare,
}

struct State {
    moods: Vec<Mood>,
    requests: Vec<String>,
    tokens: Vec<String>,
}

/// The endpoint, whose thread ends with the tests.
#[derive(Clone)]
pub struct Identity {
    state: Arc<Mutex<State>>,
    pub url: String,
}

impl Identity {
    pub fn start(mood: Mood) -> Self {
        Self::start_at(0, mood)
    }

    /// The same on this port.
    pub fn start_at(port: u16, mood: Mood) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}/msi/token", listener.local_addr().unwrap());
        let state = State { moods: vec![mood], requests: Vec::new(), tokens: Vec::new() };
        let identity = Self { state: Arc::new(Mutex::new(state)), url };
        let serving = identity.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream.unwrap()));
            }
        });
        identity
    }

    /// From now on: in these moods one after the other, and in the last for good.
    pub fn turn(&self, moods: &[Mood]) {
        self.state.lock().unwrap().moods = moods.to_vec();
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Every token handed out.
    pub fn tokens(&self) -> Vec<String> {
        self.state.lock().unwrap().tokens.clone()
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let request = lines.next()?.ok()?;
        let headers: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let known =
            headers.iter().any(|line| line.eq_ignore_ascii_case(&format!("x-identity-header: {HEADER}")));
        let mood = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(request.clone());
            if state.moods.len() > 1 { state.moods.remove(0) } else { state.moods[0] }
        };
        let (status, body) = match mood {
            _ if !known => ("401 Unauthorized", "{}".to_owned()),
            Mood::Silent => {
                std::thread::sleep(Duration::from_secs(60));
                return None;
            }
            Mood::Refuses(status) => return refuse(&mut stream, status),
            _ if !request.contains(&format!("client_id={CLIENT_ID}")) => {
                ("400 Bad Request", r#"{"statusCode":400,"message":"No managed identity found"}"#.to_owned())
            }
            Mood::Tokens(life_s) => ("200 OK", self.mint(&resource(&request)?, life_s)),
            Mood::Bare => {
                let minted: serde_json::Value =
                    serde_json::from_str(&self.mint(&resource(&request)?, 3600)).ok()?;
                let at: u64 = minted["expires_on"].as_str()?.parse().ok()?;
                (
                    "200 OK",
                    serde_json::json!({ "access_token": minted["access_token"], "expires_on": at })
                        .to_string(),
                )
            }
            Mood::WrongAudience => ("200 OK", self.mint("https://management.azure.com", 3600)),
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .ok()
    }

    fn mint(&self, audience: &str, life_s: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = serde_json::json!({
            "aud": audience, "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
            "iat": now - 60, "nbf": now - 60, "exp": now + life_s,
            "jti": self.tokens().len(),
        });
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = part(r#"{"typ":"JWT","alg":"none"}"#.into());
        let token = format!("{header}.{}.{}", part(claims.to_string()), part("unsigned".into()));
        self.state.lock().unwrap().tokens.push(token.clone());
        let expires_on = (now + life_s).to_string();
        let (kind, resource) = ("Bearer", audience);
        serde_json::json!({ "access_token": token, "expires_on": expires_on, "token_type": kind, "resource": resource })
            .to_string()
    }
}

fn refuse(stream: &mut TcpStream, status: u16) -> Option<()> {
    write!(stream, "HTTP/1.1 {status} Refused\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}").ok()
}

/// For whom a token is asked: `resource` in the query of `GET /msi/token?… HTTP/1.1`.
fn resource(request: &str) -> Option<String> {
    let query = request.split(' ').nth(1)?.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == "resource").then(|| value.into_owned()))
}
