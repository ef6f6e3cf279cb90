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
use longshore_azure::{HttpCall, HttpServer, MAX_ANSWER, NoReply, Tokens, Unanswered};

const VERSION_HEADER: HeaderName = HeaderName::from_static("x-ms-version");
const XML: HeaderValue = HeaderValue::from_static("application/xml");
const US: HeaderValue = HeaderValue::from_static(concat!("longshore/", env!("CARGO_PKG_VERSION")));

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
}

impl Target {
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
        Target { text: self.path.clone(), separator: '?' }
    }

    /// The messages of the queue.
    pub(super) fn messages(&self) -> Target {
        Target { text: format!("{}/messages", self.path), separator: '?' }
    }

    /// One message of the queue.
    pub(super) fn message(&self, id: &str) -> Target {
        let mut text = format!("{}/messages/", self.path);
        text.extend(byte_serialize(id.as_bytes()));
        Target { text, separator: '?' }
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
            StorageCredential::Token(tokens) => self.server.call_with_token(call, MAX_ANSWER, tokens).await,
            StorageCredential::Signature(_) | StorageCredential::Key(_) => {
                Ok(self.server.call(call, MAX_ANSWER).await?)
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
