//! Exactly once, in Rust. See the README.

mod blob;
mod booking;

use azure_core::http::{Context, Method, Pipeline, Request, StatusCode, Url};
use longshore_guest::{Failure, Message, OrFail, azure, config, info};

use crate::booking::Payment;

/// The oldest version of the table service that takes tokens
/// ([Authorize with Microsoft Entra ID](https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory)).
const VERSION: &str = "2020-12-06";

longshore_guest::export!(handle);

fn handle(payment: Payment, message: &Message) -> Result<(), Failure> {
    payment.check()?;
    let booking = async {
        match config::get("container") {
            Some(container) => blob::write(&container, &payment, &message.id).await,
            None => insert(&payment, &message.id).await,
        }
    };
    match azure::block_on(booking) {
        Ok(()) => info!("booked"),
        Err(Failed::Exists) => info!("already booked: this is a repeated delivery"),
        Err(Failed::Otherwise(failure)) => return Err(failure),
    }
    Ok(())
}

enum Failed {
    /// The row, or the blob, is there.
    Exists,
    Otherwise(Failure),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::Otherwise(failure)
    }
}

impl From<azure_core::Error> for Failed {
    fn from(error: azure_core::Error) -> Self {
        match error.http_status() {
            // The second says that the condition of a blob does not hold.
            Some(StatusCode::Conflict | StatusCode::PreconditionFailed) => Self::Exists,
            _ => Self::Otherwise(azure::failure("booking", &error)),
        }
    }
}

/// [Insert Entity](https://learn.microsoft.com/rest/api/storageservices/insert-entity), which fails if the key is there.
async fn insert(payment: &Payment, id: &str) -> Result<(), Failed> {
    let table: Url = config::require("table")?.parse().or_retry("the setting table")?;
    let mut request = Request::new(table, Method::Post);
    request.insert_header("accept", "application/json;odata=nometadata");
    request.insert_header("content-type", "application/json");
    request.insert_header("prefer", "return-no-content");
    request.insert_header("x-ms-version", VERSION);
    request.set_json(&serde_json::json!({
        "PartitionKey": payment.account,
        "RowKey": id,
        "amount_cents": payment.amount_cents,
    }))?;
    // No credential: the host signs what was granted.
    let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
    let pipeline = Pipeline::new(name, version, azure::client_options(), Vec::new(), Vec::new(), None);
    pipeline.send(&Context::new(), &mut request, None).await?;
    Ok(())
}
