//! The identity of the host, as the sandbox asks for its tokens.

use longshore_azure::{Azure, Tokens};
use longshore_sandbox::TokenSource;
use std::sync::Arc;

/// The identity that queues and registries know this process by, and those that grants name by
/// their client ids. All share one cache of tokens.
#[derive(Debug)]
pub(crate) struct HostIdentity;

fn tokens(scope: &str, client_id: Option<&str>) -> Arc<Tokens> {
    Azure::shared().tokens_of(scope.to_owned(), client_id)
}

#[async_trait::async_trait]
impl TokenSource for HostIdentity {
    async fn token(&self, scope: &str, client_id: Option<&str>) -> Result<String, String> {
        let token = tokens(scope, client_id).token().await.map_err(|error| error.to_string())?;
        Ok(token.secret().to_owned())
    }

    async fn replacement(&self, scope: &str, client_id: Option<&str>, refused: &str) -> Option<String> {
        let token = tokens(scope, client_id).replacement(refused).await?;
        Some(token.secret().to_owned())
    }
}
