//! Puts the token on each request.

use std::sync::Arc;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::AUTHORIZATION;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request, StatusCode};

use super::token::Tokens;

/// Sends requests with a token of the cache. What is refused with a 401 is sent once more with a fresh token: a
/// service that does not know the caller has done nothing yet, so that this is safe for a receive as well.
///
/// The SDK's own policy is not used: it fetches under a lock that every request waits for, and its copy of the token
/// outlives ours.
#[derive(Debug)]
pub(crate) struct Authorize(pub(crate) Arc<Tokens>);

#[async_trait::async_trait]
impl Policy for Authorize {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if request.url().scheme() != "https" {
            return Err(Error::with_message(ErrorKind::Other, "a token does not travel in the clear"));
        }
        let [first, rest @ ..] = next else {
            return Err(Error::with_message(ErrorKind::Other, "the pipeline has no transport"));
        };
        let used = self.authorize(request).await?;
        let response = first.send(ctx, request, rest).await?;
        if response.status() != StatusCode::Unauthorized {
            return Ok(response);
        }
        tracing::debug!("the token was refused: fetching another one");
        self.0.refused(&used);
        self.authorize(request).await?;
        first.send(ctx, request, rest).await
    }
}

impl Authorize {
    async fn authorize(&self, request: &mut Request) -> Result<super::token::Token, Error> {
        let token = self
            .0
            .token()
            .await
            .map_err(|error| Error::with_error(ErrorKind::Credential, error, "no token"))?;
        request.insert_header(AUTHORIZATION, format!("Bearer {}", token.secret()));
        Ok(token)
    }
}
