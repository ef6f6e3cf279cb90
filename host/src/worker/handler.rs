//! What the worker asks of whatever handles its messages.

use crate::component;
use crate::sandbox::{Answer, Invocation};

/// Business logic, as the worker sees it: it is handed messages, and may fail in any way but one: it always answers or can be dropped.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message, within its deadline. Dropping the future interrupts the handler.
    async fn handle(&self, invocation: Invocation) -> Answer;

    /// Tries again to make the handler available, if it is not.
    async fn reload(&self);

    /// The digest of the component that handles messages now, as `sha256:…`.
    fn digest(&self) -> Option<String>;
}

#[async_trait::async_trait]
impl Handler for component::Handler {
    async fn handle(&self, invocation: Invocation) -> Answer {
        self.handle(invocation).await
    }

    async fn reload(&self) {
        self.reload().await;
    }

    fn digest(&self) -> Option<String> {
        self.digest()
    }
}
