//! Puts the token on each request.

use std::sync::Arc;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{AUTHORIZATION, HeaderName};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Request, StatusCode};

use crate::http::is_this_host;
use crate::token::{Token, Tokens};

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Sends requests with a token of the cache. What is refused because of the token is sent once more
/// with a fresh token: a service that does not know the caller has done nothing yet, so that this
/// is safe for a receive as well.
///
/// The SDK's own policy is not used: it fetches under a lock that every request waits for, and its
/// copy of the token outlives ours.
#[derive(Debug)]
pub struct Authorize(pub Arc<Tokens>);

#[async_trait::async_trait]
impl Policy for Authorize {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        // What goes to this very host is not on any wire.
        if request.url().scheme() != "https" && !is_this_host(request.url()) {
            return Err(Error::with_message(ErrorKind::Other, "a token does not travel in the clear"));
        }
        let [first, rest @ ..] = next else {
            return Err(Error::with_message(ErrorKind::Other, "the pipeline has no transport"));
        };
        let used = self.authorize(request).await?;
        let response = first.send(ctx, request, rest).await?;
        if !refuses_the_token(&response) {
            return Ok(response);
        }
        tracing::debug!("the token was refused: fetching another one");
        self.0.refused(&used);
        self.authorize(request).await?;
        first.send(ctx, request, rest).await
    }
}

/// A 401; or a 403 that is about who we are and not about what we may, as some services answer an
/// expired token ([Common REST API error
/// codes](https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes)).
fn refuses_the_token(response: &AsyncRawResponse) -> bool {
    match response.status() {
        StatusCode::Unauthorized => true,
        StatusCode::Forbidden => {
            response.headers().get_optional_str(&ERROR_CODE) == Some("AuthenticationFailed")
        }
        _ => false,
    }
}

impl Authorize {
    async fn authorize(&self, request: &mut Request) -> Result<Token, Error> {
        let token = self
            .0
            .token()
            .await
            .map_err(|error| Error::with_error(ErrorKind::Credential, error, "no token"))?;
        request.insert_header(AUTHORIZATION, format!("Bearer {}", token.secret()));
        Ok(token)
    }
}
