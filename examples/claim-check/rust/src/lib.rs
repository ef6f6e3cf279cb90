//! The claim check in Rust. See the README.

mod invoice;

use azure_core::http::{RequestContent, StatusCode, Url};
use azure_storage_blob::{BlobClient, BlobClientOptions};
use longshore_guest::{Failure, Message, OrFail, azure, config, info, outbox};
use serde::{Deserialize, Serialize};

/// What a message says: where the real one lies, in the container of the setting `container`.
#[derive(Deserialize, Serialize)]
struct Claim {
    blob: String,
}

longshore_guest::export!(handle);

fn handle(claim: Claim, _: &Message) -> Result<(), Failure> {
    let result = invoice::name(&claim.blob)?;
    azure::block_on(async {
        let invoice = invoice::of(&read(&claim.blob).await?)?;
        write(&result, serde_json::to_vec(&invoice)?).await
    })?;
    info!("wrote {result}");
    outbox::send_json("invoices", &Claim { blob: result })
}

async fn read(name: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: azure_core::Error| match error.http_status() {
        Some(StatusCode::NotFound) => Failure::reject("there is no blob of that name"),
        _ => azure::failure("reading the order", &error),
    };
    let response = blob(name)?.download(None).await.map_err(failed)?;
    let body = response.body.collect().await;
    Ok(body.map_err(|error| azure::failure("reading the order", &error))?.to_vec())
}

async fn write(name: &str, json: Vec<u8>) -> Result<(), Failure> {
    let written = blob(name)?.upload(RequestContent::from(json), None).await;
    written.map(drop).map_err(|error| azure::failure("writing the invoice", &error))
}

/// A client without a credential: the host signs what was granted.
fn blob(name: &str) -> Result<BlobClient, Failure> {
    let container = config::require("container")?;
    let url: Url = format!("{container}/{name}").parse().or_retry("the setting container")?;
    let options =
        BlobClientOptions { client_options: azure::client_options(), ..BlobClientOptions::default() };
    BlobClient::new(url, None, Some(options)).map_err(|error| azure::failure("the client", &error))
}
