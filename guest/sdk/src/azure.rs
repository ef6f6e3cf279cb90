//! Microsoft's own SDKs in a handler, without a credential: their requests go through `wasi:http`,
//! and the host signs them.
//!
//! The operator grants a service (`--http-identity acme.blob.core.windows.net/orders`). The handler
//! then calls it as if it were public. The host adds the token of its managed identity, and the
//! handler never sees one. Give clients no credential, and the options of [`client_options`]:
//!
//! ```
//! use azure_core::http::ClientOptions;
//! use longshore_guest::{Failure, azure};
//!
//! fn options() -> ClientOptions {
//!     // For `azure_storage_blob`: `BlobClientOptions { client_options: azure::client_options(), .. }`.
//!     azure::client_options()
//! }
//!
//! fn handle() -> Result<(), Failure> {
//!     let answer = azure::block_on(async { "what a client answers" });
//!     assert!(!answer.is_empty());
//!     Ok(())
//! }
//! # options();
//! # handle().unwrap();
//! ```
//!
//! Switch off the default features of the SDK's crates: they bring `reqwest` and `tokio`'s network,
//! which do not compile for `wasm32-wasip2`.
//!
//! Natively (in tests) there is no `wasi:http`, and each request fails. A test that wants answers
//! replaces `transport` in the options by one of its own.

mod client;
#[cfg(target_family = "wasm")]
mod reactor;
mod runtime;
#[cfg(target_family = "wasm")]
mod wasi;

use std::sync::Arc;

use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_core::time::Duration;

use crate::Failure;

pub use self::client::WasiHttpClient;
pub use self::runtime::block_on;

/// How often a request is sent again. A deadline of 30 s is soon over, and a message that is
/// retried waits in its queue at no cost.
const MAX_RETRIES: u32 = 2;

/// Options for any client of the SDK: its requests go through `wasi:http`.
///
/// A request is sent three times at most, with pauses below a second. Ask the queue for what takes
/// longer: [`failure`] does.
#[must_use]
pub fn client_options() -> ClientOptions {
    runtime::install();
    let retry = ExponentialRetryOptions {
        max_retries: MAX_RETRIES,
        max_total_elapsed: Duration::seconds(10),
        ..ExponentialRetryOptions::default()
    };
    ClientOptions {
        transport: Some(Transport::new(Arc::new(WasiHttpClient))),
        retry: RetryOptions::exponential(retry),
        ..ClientOptions::default()
    }
}

/// Another attempt may succeed: the retry that an error of the SDK asks for.
///
/// The reason says `what` failed, and why: the status and the service's own code, or what happened
/// to the connection. It holds nothing of a body.
///
/// ```
/// # use azure_core::error::{Error, ErrorKind};
/// # use longshore_guest::{Failure, azure};
/// let error = Error::with_message(ErrorKind::Connection, "the connection was refused");
/// let reason = "reading the order: the connection was refused";
/// assert_eq!(azure::failure("reading the order", &error), Failure::retry(reason));
/// ```
#[must_use]
pub fn failure(what: &str, error: &azure_core::Error) -> Failure {
    match error.kind() {
        ErrorKind::Connection | ErrorKind::Io | ErrorKind::Other => {
            Failure::retry(format!("{what}: {}", cause(error)))
        }
        // The text of these repeats what a service or a body says.
        kind => Failure::retry(format!("{what}: {kind}")),
    }
}

/// Where an error began. What the SDK puts around it says that it was not sent again.
fn cause(error: &azure_core::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use azure_core::error::{Error, ErrorKind};
    use azure_core::http::{Context, Method, Pipeline, Request};

    use super::*;

    #[test]
    fn a_reason_names_the_cause_and_not_what_the_sdk_puts_around_it() {
        let inner = Error::with_message(ErrorKind::Other, "the host refuses it");
        let outer = Error::with_error(ErrorKind::Other, inner, "it will not be sent again");
        assert_eq!(failure("booking", &outer), Failure::retry("booking: the host refuses it"));
    }

    #[test]
    fn a_reason_says_nothing_of_a_body() {
        let error = Error::with_message(ErrorKind::DataConversion, "expected a number, got `secret`");
        assert_eq!(failure("booking", &error), Failure::retry("booking: DataConversion"));
    }

    #[test]
    fn a_request_outside_of_a_component_fails_at_once_and_says_why() {
        let url = "https://acme.blob.core.windows.net/orders?sig=secret".parse().unwrap();
        let mut request = Request::new(url, Method::Get);
        let pipeline = Pipeline::new(None, None, client_options(), Vec::new(), Vec::new(), None);
        let error = block_on(pipeline.send(&Context::new(), &mut request, None)).unwrap_err();
        let Failure::Retry(retry) = failure("reading", &error) else { panic!("a retry") };
        assert!(retry.reason.starts_with("reading: there is no wasi:http outside of a component"), "{retry}");
        assert!(!retry.reason.contains("secret"), "{retry}");
    }
}
