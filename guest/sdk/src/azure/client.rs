use azure_core::Result;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};

/// The SDK's way to the network: `wasi:http`, which the host offers.
///
/// Requests run beside each other when their futures do. A body is sent as it comes, and a response
/// is read as it is asked for. Redirects are not followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiHttpClient;

#[async_trait::async_trait]
impl HttpClient for WasiHttpClient {
    /// Sends a request.
    ///
    /// # Errors
    /// Of kind `Connection` or `Io` if another try may help: the SDK makes it. Of kind `Other` if the
    /// host refuses the request; its log says why, and which flag would grant it.
    #[cfg(target_family = "wasm")]
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
        super::wasi::send(request).await
    }

    /// Fails: there is no `wasi:http` outside of a component.
    #[cfg(not(target_family = "wasm"))]
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
        let message = format!(
            "there is no wasi:http outside of a component, for {} {}: give the client a transport of your own in tests",
            request.method(),
            request.url().host_str().unwrap_or_default(),
        );
        Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Other, message))
    }
}
