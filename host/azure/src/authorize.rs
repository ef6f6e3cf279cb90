//! Puts the token on each call.

use std::sync::Arc;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Response};

use crate::http::{HttpCall, HttpServer, NoReply, is_this_host};
use crate::token::{NoToken, Token, Tokens};

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
        let code = response.headers().get_optional_str(&azure_core::http::headers::ERROR_CODE);
        if !refuses_the_token(response.status().into(), code) {
            return Ok(response);
        }
        tracing::debug!("the token was refused: fetching another one");
        self.0.refused(&used);
        self.authorize(request).await?;
        first.send(ctx, request, rest).await
    }
}

/// Why a call that needs a token has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// There was no token, and the call was not sent.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// The server gave no answer.
    #[error(transparent)]
    NoReply(#[from] NoReply),
}

impl HttpServer {
    /// The same as [`HttpServer::call`], with a token. What is refused because of the token is sent
    /// once more with a fresh one, as [`Authorize`] does it.
    ///
    /// # Errors
    /// No answer came.
    pub async fn call_with_token(
        &self,
        mut call: HttpCall,
        max: usize,
        tokens: &Arc<Tokens>,
    ) -> Result<Response<Bytes>, Unanswered> {
        let used = tokens.token().await?;
        call.headers.insert(AUTHORIZATION, used.bearer().clone());
        let answer = self.call(call.clone(), max).await?;
        let code = answer.headers().get(ERROR_CODE).and_then(|it| it.to_str().ok());
        if !refuses_the_token(answer.status().as_u16(), code) {
            return Ok(answer);
        }
        tracing::debug!("the token was refused: fetching another one");
        tokens.refused(&used);
        call.headers.insert(AUTHORIZATION, tokens.token().await?.bearer().clone());
        Ok(self.call(call, max).await?)
    }
}

/// A 401; or a 403 that is about who we are and not about what we may, as some services answer an
/// expired token ([Common REST API error
/// codes](https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes)).
fn refuses_the_token(status: u16, error_code: Option<&str>) -> bool {
    match status {
        401 => true,
        403 => error_code == Some("AuthenticationFailed"),
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
        request.insert_header(azure_core::http::headers::AUTHORIZATION, format!("Bearer {}", token.secret()));
        Ok(token)
    }
}
