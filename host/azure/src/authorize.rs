//! Puts the token on each call.

use std::sync::Arc;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Response};

use crate::http::{HttpCall, HttpServer, NoReply, may_get_token};
use crate::token::{NoToken, Token, Tokens};

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Why a call is not made.
const IN_THE_CLEAR: &str = "a token does not travel in the clear";

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
        if !may_get_token(request.url()) {
            return Err(Error::with_message(ErrorKind::Other, IN_THE_CLEAR));
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
    /// It would go over plain HTTP to another host, and was not sent.
    #[error("{IN_THE_CLEAR}")]
    InTheClear,
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
        if !self.may_get_token {
            return Err(Unanswered::InTheClear);
        }
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

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::*;
    use crate::{Azure, Credential, SharedHttp};

    #[tokio::test]
    async fn no_token_is_sent_in_the_clear_to_another_host() {
        let http = SharedHttp::default();
        let tokens = Azure::new(Credential::ManagedIdentity).tokens("https://storage.azure.com/.default");
        let server = http.server(&"http://192.0.2.1/orders".parse().unwrap()).unwrap();
        let call = HttpCall {
            method: Method::GET,
            target: Uri::from_static("/orders"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let sent = server.call_with_token(call, 0, &tokens).await;
        assert!(matches!(sent, Err(Unanswered::InTheClear)), "{sent:?}");
    }
}
