//! The protocol's calls to one queue, as they go over HTTP ([Operations on
//! messages](https://learn.microsoft.com/rest/api/storageservices/operations-on-messages)).
//!
//! The SDK's client is not used: what it does for each call beside the call itself costs as much as
//! the call.

use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::account_key::SignWithKey;
use super::address::VERSION;
use longshore_azure::{HttpCall, HttpServer, NoReply, Tokens, Unanswered};
use longshore_queue::kind::STORAGE;

const VERSION_HEADER: HeaderName = HeaderName::from_static("x-ms-version");
const XML: HeaderValue = HeaderValue::from_static("application/xml");
const US: HeaderValue = HeaderValue::from_static(concat!("longshore/", env!("CARGO_PKG_VERSION")));

/// The longest reference to a character that a service writes for a byte: `&quot;`, `&#x1F;`.
const MAX_ESCAPED: usize = 6;
/// How much an answer may have beside the texts of its messages, in bytes.
const BESIDE_TEXTS: usize = 256 * 1024;

/// How much is read of an answer that holds up to so many messages, in bytes. A service may measure
/// a text before it escapes it. An answer that is not read leases all that is in it.
fn max_answer(messages: u32) -> usize {
    BESIDE_TEXTS + messages as usize * STORAGE.max_body * MAX_ESCAPED
}

/// How a caller proves who it is.
pub(super) enum StorageCredential {
    Token(Arc<Tokens>),
    /// The query that a shared access signature is.
    Signature(String),
    Key(Arc<SignWithKey>),
}

/// A queue, and who calls it. Its `Debug` form does not show the signature.
pub(super) struct StorageClient {
    server: HttpServer,
    /// Of the queue, below its server.
    path: String,
    pub(super) access: StorageCredential,
}

impl fmt::Debug for StorageClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageClient({:?}, {})", self.server, self.path)
    }
}

/// Where a call goes: a path and a query. It may hold a signature, and is never shown.
pub(super) struct Target {
    text: String,
    /// What the next pair of the query comes behind.
    separator: char,
    /// How many messages the answer may hold.
    messages: u32,
}

impl Target {
    fn new(path: String) -> Self {
        Self { text: path, separator: '?', messages: 0 }
    }

    /// Adds a pair to the query whose value needs no escaping.
    pub(super) fn with(mut self, name: &str, value: impl Display) -> Self {
        // Writing to a `String` does not fail.
        let _ = write!(self.text, "{}{name}={value}", self.separator);
        self.separator = '&';
        self
    }

    /// Adds a pair to the query whose value may hold anything.
    pub(super) fn with_escaped(mut self, name: &str, value: &str) -> Self {
        self = self.with(name, "");
        self.text.extend(byte_serialize(value.as_bytes()));
        self
    }

    /// Asks for up to so many messages.
    pub(super) fn with_messages(mut self, max: u32) -> Self {
        self.messages = max;
        self.with("numofmessages", max)
    }

    fn with_query(mut self, query: &str) -> Self {
        self.text.push(self.separator);
        self.text.push_str(query);
        self.separator = '&';
        self
    }
}

impl StorageClient {
    /// A client of the queue at this address, whose query is not looked at.
    pub(super) fn new(server: HttpServer, address: &Url, access: StorageCredential) -> Self {
        Self { server, path: address.path().trim_end_matches('/').to_owned(), access }
    }

    /// The queue itself.
    pub(super) fn queue(&self) -> Target {
        Target::new(self.path.clone())
    }

    /// The messages of the queue.
    pub(super) fn messages(&self) -> Target {
        Target::new(format!("{}/messages", self.path))
    }

    /// One message of the queue.
    pub(super) fn message(&self, id: &str) -> Target {
        let mut text = format!("{}/messages/", self.path);
        text.extend(byte_serialize(id.as_bytes()));
        Target::new(text)
    }

    /// Calls the service, with a token where one is needed.
    ///
    /// # Errors
    /// No answer came.
    pub(super) async fn call(
        &self,
        method: Method,
        target: Target,
        body: Bytes,
    ) -> Result<Response<Bytes>, Unanswered> {
        let max = max_answer(target.messages);
        let target = match &self.access {
            StorageCredential::Token(_) => target,
            StorageCredential::Signature(query) => target.with_query(query),
            StorageCredential::Key(key) => target.with_query(&key.query()),
        };
        // The parts are those of a URL, or escaped.
        let unfit = |_| NoReply::Unreached("its URL cannot be asked for".into());
        let call = HttpCall {
            method,
            target: target.text.try_into().map_err(unfit)?,
            headers: headers(&body),
            body,
        };
        match &self.access {
            StorageCredential::Token(tokens) => self.server.call_with_token(call, max, tokens).await,
            StorageCredential::Signature(_) | StorageCredential::Key(_) => {
                Ok(self.server.call(call, max).await?)
            }
        }
    }
}

fn headers(body: &Bytes) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    headers.insert(USER_AGENT, US);
    headers.insert(ACCEPT, XML);
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, XML);
    }
    headers
}
