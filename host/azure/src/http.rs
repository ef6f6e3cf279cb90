//! The one transport that credentials and clients share.

mod bounded;
mod connection;
mod dial;
mod direct;
mod fair;
mod lookup;
mod no_reply;
mod proxied;
mod this_host;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use http_body_util::Full;
use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use url::Url;

use self::dial::{CONNECT, Dial};
use self::direct::DirectServer;
use self::proxied::through_proxy;
use crate::cause::{cause, innermost};
use crate::retry_after::time_to_wait;

pub use self::no_reply::NoReply;
pub(crate) use self::no_reply::TooLongAnswer;
pub use self::this_host::is_this_host;
pub(crate) use self::this_host::may_get_token;

/// How long a call may take of the SDK's clients. Each caller has a limit of its own, which is
/// shorter as a rule.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// How long a connection through a proxy may be silent in the middle of a call.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest body of an answer that is read for the SDK's clients, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The longest answer to a post that is read, in bytes.
const MAX_POST_ANSWER: usize = 64 * 1024;

/// HTTP over connections that are kept and shared.
///
/// What goes over plain HTTP goes directly: that is the platform's identity endpoint, or an
/// emulator, and no business of a proxy's. So does what goes to this very host. All else honours
/// `HTTPS_PROXY` and `NO_PROXY`. Certificates are checked against the system's authorities, or
/// those in `SSL_CERT_FILE`. No redirect is followed.
#[derive(Default)]
pub struct SharedHttp {
    proxies: OnceLock<Matcher>,
    tls: OnceLock<Arc<ClientConfig>>,
    /// By scheme, host and port.
    servers: Mutex<HashMap<String, HttpServer>>,
    /// What knows how to go through proxies of every kind.
    proxied: OnceLock<reqwest::Client>,
}

impl fmt::Debug for SharedHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedHttp(…)")
    }
}

/// A server that is called again and again.
#[derive(Clone)]
pub struct HttpServer {
    way: Way,
    /// What its host is called in requests.
    host: HeaderValue,
    /// Whether a token may go there.
    pub(crate) may_get_token: bool,
}

#[derive(Clone)]
enum Way {
    Direct(Arc<DirectServer>),
    /// Through a proxy, to this server.
    Proxied(reqwest::Client, Arc<str>),
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpServer({:?})", self.host)
    }
}

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// What is to be done.
    pub method: Method,
    /// The path and the query.
    pub target: Uri,
    /// Without the host and the length of the body.
    pub headers: HeaderMap,
    /// Empty for none.
    pub body: Bytes,
}

/// What a server answered to a post.
#[derive(Debug)]
pub struct PostAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// When it wants to be asked again, in either form of the header.
    pub retry_after: Option<Duration>,
    /// What it said; `None` if that was longer than 64 KiB.
    pub body: Option<Bytes>,
}

impl SharedHttp {
    /// The server of a URL. Nothing is asked of it yet.
    ///
    /// # Errors
    /// Calls cannot be made: over TLS, certificates have to be there. The cause and the mend, in
    /// words.
    pub fn server(&self, url: &Url) -> Result<HttpServer, String> {
        let origin = url.origin().ascii_serialization();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(&origin) {
            return Ok(server.clone());
        }
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        let host = HeaderValue::from_str(host).map_err(|error| format!("{origin}: {error}"))?;
        let way = if self.is_proxied(url, &origin) {
            Way::Proxied(self.proxied()?.clone(), origin.as_str().into())
        } else {
            let tls = if url.scheme() == "http" { None } else { Some(self.tls()?) };
            Way::Direct(Arc::new(DirectServer::new(Dial::new(url, tls)?)))
        };
        let server = HttpServer { way, host, may_get_token: may_get_token(url) };
        servers.insert(origin, server.clone());
        Ok(server)
    }

    /// Whether calls to this URL can be made at all: over TLS, certificates have to be there.
    ///
    /// # Errors
    /// The cause and the mend, in words.
    pub fn ready(&self, url: &Url) -> Result<(), String> {
        self.server(url).map(drop)
    }

    fn is_proxied(&self, url: &Url, origin: &str) -> bool {
        if url.scheme() == "http" || is_this_host(url) {
            return false;
        }
        let proxies = self.proxies.get_or_init(Matcher::from_env);
        origin.parse().is_ok_and(|origin| proxies.intercept(&origin).is_some())
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let tls = dial::tls().map_err(|cause| no_tls(&cause))?;
        Ok(self.tls.get_or_init(|| tls).clone())
    }

    fn proxied(&self) -> Result<&reqwest::Client, String> {
        if let Some(client) = self.proxied.get() {
            return Ok(client);
        }
        choose_cryptography();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .pool_idle_timeout(direct::IDLE)
            .pool_max_idle_per_host(direct::MAX_IDLE_CONNECTIONS)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| no_tls(&innermost(&error)))?;
        Ok(self.proxied.get_or_init(|| client))
    }

    /// Posts a body to a URL.
    ///
    /// # Errors
    /// No answer came: the cause in words, without the URL.
    pub async fn post(
        &self,
        url: Url,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<PostAnswer, String> {
        let target = target(&url).map_err(|error| cause(&error))?;
        let call = HttpCall { method: Method::POST, target, headers: headers.clone(), body: body.into() };
        let server = self.server(&url)?;
        let (status, retry_after, body) = match within_limit(server.call(call, MAX_POST_ANSWER)).await {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                let retry_after = head.headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
                (head.status.as_u16(), retry_after.map(str::to_owned), Some(body))
            }
            // What it was about is known all the same.
            Err(NoReply::TooLong(TooLongAnswer { status, retry_after, .. })) => (status, retry_after, None),
            Err(error) => return Err(error.to_string()),
        };
        let retry_after = retry_after.and_then(|it| time_to_wait(&it, Timestamp::now()));
        Ok(PostAnswer { status, retry_after, body })
    }

    async fn execute(&self, request: &Request, max: usize) -> Result<AsyncRawResponse, Error> {
        let unfit = |cause: String| Error::with_message(ErrorKind::Other, cause);
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers().iter() {
            let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
            let value = HeaderValue::from_str(value.as_str());
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(unfit("a header of the call cannot be sent".into()));
            };
            headers.insert(name, value);
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let Body::Bytes(body) = request.body().clone() else {
            return Err(unfit("the body of the call is a stream".into()));
        };
        let method = Method::from_bytes(request.method().as_str().as_bytes());
        let method = method.map_err(|error| unfit(error.to_string()))?;
        let call = HttpCall { method, target: target(request.url())?, headers, body };
        let server = self.server(request.url()).map_err(unfit)?;
        let (head, body) = within_limit(server.call(call, max)).await?.into_parts();
        let mut headers = Headers::new();
        for (name, value) in &head.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(HeaderName::from(name.as_str().to_owned()), value.to_owned());
            }
        }
        Ok(AsyncRawResponse::from_bytes(head.status.as_u16().into(), headers, body))
    }
}

/// The path and the query of a URL.
fn target(url: &Url) -> Result<Uri, Error> {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    target.parse().map_err(|_| Error::with_message(ErrorKind::Other, "its URL cannot be asked for"))
}

/// Lets a call take as long as the SDK's clients may wait.
async fn within_limit<T>(calling: impl Future<Output = Result<T, NoReply>>) -> Result<T, NoReply> {
    timeout(LONGEST_CALL, calling).await.unwrap_or_else(|_| Err(NoReply::Broken("timed out".into())))
}

impl HttpServer {
    /// Calls the server, and reads up to `max` bytes of the answer's body. How long that may take
    /// is the caller's to say.
    ///
    /// # Errors
    /// No answer came.
    pub async fn call(&self, call: HttpCall, max: usize) -> Result<Response<Bytes>, NoReply> {
        match &self.way {
            Way::Direct(server) => server.call(self.request(call), max).await,
            Way::Proxied(client, origin) => {
                let HttpCall { method, target, headers, body } = call;
                let call = client.request(method, format!("{origin}{target}")).headers(headers).body(body);
                through_proxy(call, max).await
            }
        }
    }

    fn request(&self, HttpCall { method, target, mut headers, body }: HttpCall) -> direct::DirectCall {
        headers.insert(HOST, self.host.clone());
        // Of other methods, no server expects a body.
        if matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, body.len().into());
        }
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        request
    }
}

/// Has all clients of HTTP in this process take their cryptography from *ring*. A client that is
/// made before panics, since the libraries bring none along: *ring* is built in a quarter of the
/// time of their own choice.
pub fn choose_cryptography() {
    // An error says that it is chosen already.
    let _ = ring::default_provider().install_default();
}

#[async_trait::async_trait]
impl HttpClient for SharedHttp {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse, Error> {
        self.execute(request, MAX_ANSWER).await
    }
}

/// The same transport for answers that are short.
#[derive(Clone, Debug)]
pub(crate) struct ShortAnswers {
    pub(crate) http: Arc<SharedHttp>,
    /// The longest body that is read, in bytes.
    pub(crate) max: usize,
}

#[async_trait::async_trait]
impl HttpClient for ShortAnswers {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse, Error> {
        self.http.execute(request, self.max).await
    }
}

fn no_tls(cause: &str) -> String {
    format!(
        "cannot check certificates ({cause}); install the system's CA certificates (Debian: `ca-certificates`), or name a PEM file in SSL_CERT_FILE"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_cause_of_a_failed_call_does_not_repeat_its_url() {
        let url = Url::parse("http://127.0.0.1:1/account/orders?sig=secret&popreceipt=secret").unwrap();
        let request = Request::new(url, azure_core::http::Method::Get);
        let error = SharedHttp::default().execute_request(&request).await.err().unwrap();
        let cause = cause(&error);
        assert!(cause.contains("refused") && !cause.contains("secret"), "{cause}");
    }

    #[tokio::test]
    async fn a_post_is_answered_however_long_the_answer_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let length = MAX_POST_ANSWER + 1;
                let head = format!("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all(&[head.as_bytes(), &vec![b'x'; length]].concat()).await;
            }
        });
        let answer = SharedHttp::default().post(url, &HeaderMap::new(), "{}").await.unwrap();
        let PostAnswer { status, retry_after, body } = answer;
        assert_eq!((status, retry_after, body), (503, Some(Duration::from_secs(7)), None));
    }

    #[test]
    fn what_goes_to_another_host_over_tls_goes_through_the_proxy_and_nothing_else_does() {
        let proxies =
            Matcher::builder().all("http://127.0.0.1:1").no("excepted.example,.core.windows.net").build();
        let http = SharedHttp { proxies: OnceLock::from(proxies), ..SharedHttp::default() };
        for (url, is_proxied) in [
            ("https://acme.queue.example/orders?sig=x", true),
            ("https://acme.queue.example:8443/orders", true),
            ("https://excepted.example/orders", false),
            ("https://acme.queue.core.windows.net/orders", false),
            ("https://127.0.0.1:10001/orders", false),
            ("https://localhost/orders", false),
            ("http://169.254.169.254/metadata", false),
        ] {
            let url = Url::parse(url).unwrap();
            let origin = url.origin().ascii_serialization();
            assert_eq!(http.is_proxied(&url, &origin), is_proxied, "{url}");
        }
    }
}
