//! The same with a blob, whose name is the message's id.

use azure_core::http::{RequestContent, Url};
use azure_storage_blob::models::BlobClientUploadOptions;
use azure_storage_blob::{BlobClient, BlobClientOptions};
use longshore_guest::{Failure, azure};

use crate::Failed;
use crate::booking::Payment;

/// [Put Blob](https://learn.microsoft.com/rest/api/storageservices/put-blob) with `If-None-Match: *`,
/// which fails if a blob of that name is there.
pub(crate) async fn write(container: &str, payment: &Payment, id: &str) -> Result<(), Failed> {
    let url: Url = format!("{container}/{id}.json")
        .parse()
        .map_err(|_| Failed::Otherwise(Failure::retry("the setting container is no URL")))?;
    // No credential: the host signs what was granted.
    let options =
        BlobClientOptions { client_options: azure::client_options(), ..BlobClientOptions::default() };
    let json =
        serde_json::json!({ "account": payment.account, "amount_cents": payment.amount_cents }).to_string();
    let once = BlobClientUploadOptions::default().if_not_exists();
    BlobClient::new(url, None, Some(options))?
        .upload(RequestContent::from(json.into_bytes()), Some(once))
        .await?;
    Ok(())
}
