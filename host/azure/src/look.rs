//! One request that changes nothing, to see whether a service lets a token in.

use std::time::Duration;

use azure_core::http::headers::{ACCEPT, AUTHORIZATION, HeaderName};
use azure_core::http::{HttpClient, Method, Request};
use tokio::time::timeout;
use url::Url;

use crate::azure::Azure;
use crate::cause::cause;
use crate::token::Token;

/// How long a service may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

const VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const SERVER: HeaderName = HeaderName::from_static("server");

/// How a service answered, as far as it says whether a token is let in. Nothing else of the answer
/// is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// HTTP's status.
    pub status: u16,
    /// What Azure Storage calls the error ([Status and error
    /// codes](https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2)).
    pub error_code: Option<String>,
    /// Which service it is, as it says itself: `Windows-Azure-Blob/1.0`.
    pub server: Option<String>,
}

impl Azure {
    /// Sends a `GET` with a token, over TLS, for this version of a service of Azure Storage, and an
    /// answer of this type.
    ///
    /// # Errors
    /// There was no answer; in words.
    pub async fn look(
        &self,
        url: Url,
        version: &'static str,
        accept: &'static str,
        token: &Token,
    ) -> Result<Looked, String> {
        if url.scheme() != "https" {
            return Err("a token does not travel in the clear".into());
        }
        let mut request = Request::new(url, Method::Get);
        request.insert_header(AUTHORIZATION, format!("Bearer {}", token.secret()));
        request.insert_header(VERSION, version);
        request.insert_header(ACCEPT, accept);
        let answer = timeout(LIMIT, self.http().execute_request(&request)).await;
        let answer = answer.map_err(|_| format!("no answer within {} s", LIMIT.as_secs()))?;
        let answer = answer.map_err(|error| cause(&error))?;
        let header = |name| answer.headers().get_optional_str(name).map(str::to_owned);
        Ok(Looked {
            status: u16::from(answer.status()),
            error_code: header(&ERROR_CODE),
            server: header(&SERVER),
        })
    }
}
