//! Signatures made with an account's key, a fresh one for each request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::error::{Error, ErrorKind};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request, Url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use longshore_queue::place::AccountKey;

/// How long a signature is valid. It is for one request, and clocks differ.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// The version of the signature, and what it is for: everything (`sp`) that can be done with the
/// queues of an account (`ss`), their messages and the service (`srt`).
const VERSION: &str = "2019-12-12";
const PERMISSIONS: &str = "rwdlacup";
const SERVICES: &str = "q";
const RESOURCES: &str = "sco";

/// Puts a signature into the query of each request ([Create an account
/// SAS](https://learn.microsoft.com/rest/api/storageservices/create-account-sas)).
#[derive(Debug)]
pub(super) struct SignWithKey {
    account: String,
    /// Decoded.
    key: SecretBytes,
}

/// Bytes that `Debug` does not show.
struct SecretBytes(Vec<u8>);

impl std::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl SignWithKey {
    /// `None` if the key is not written as base64.
    pub(super) fn new(AccountKey { account, key }: &AccountKey) -> Option<Self> {
        let key = SecretBytes(STANDARD.decode(key).ok()?);
        Some(Self { account: account.clone(), key })
    }

    /// A signature that is valid from now on for a while, as a query.
    pub(super) fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs(valid_until())).finish()
    }

    /// The signature until then, as pairs of a query.
    fn pairs(&self, until: Timestamp) -> [(&'static str, String); 6] {
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let signed =
            format!("{}\n{PERMISSIONS}\n{SERVICES}\n{RESOURCES}\n\n{until}\n\n\n{VERSION}\n", self.account);
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(&self.key.0).expect("a key of any length makes a signature");
        hmac.update(signed.as_bytes());
        let signature = STANDARD.encode(hmac.finalize().into_bytes());
        [
            ("sv", VERSION.into()),
            ("ss", SERVICES.into()),
            ("srt", RESOURCES.into()),
            ("sp", PERMISSIONS.into()),
            ("se", until),
            ("sig", signature),
        ]
    }

    /// Signs a URL until then, in the place of an earlier signature.
    fn sign(&self, url: &mut Url, until: Timestamp) {
        let ours = self.pairs(until);
        let kept: Vec<_> = url.query_pairs().into_owned().collect();
        let kept = kept.iter().filter(|(name, _)| ours.iter().all(|(our, _)| our != name));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).extend_pairs(ours);
        url.set_query(Some(&query.finish()));
    }
}

/// Until when a signature is valid that is made now.
fn valid_until() -> Timestamp {
    Timestamp::try_from(SystemTime::now() + SIGNED_FOR).unwrap_or(Timestamp::MAX)
}

#[async_trait::async_trait]
impl Policy for SignWithKey {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let [first, rest @ ..] = next else {
            return Err(Error::with_message(ErrorKind::Other, "the pipeline has no transport"));
        };
        self.sign(request.url_mut(), valid_until());
        first.send(ctx, request, rest).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(key: &str) -> Option<SignWithKey> {
        SignWithKey::new(&AccountKey { account: "acme".into(), key: key.into() })
    }

    #[test]
    fn a_request_has_one_signature_however_often_it_is_sent() {
        let signer = signer("c2VjcmV0").unwrap();
        let mut url: Url =
            "https://acme.queue.core.windows.net/orders/messages?numofmessages=2".parse().unwrap();
        let mut queries = Vec::new();
        for second in [0, 60] {
            signer.sign(&mut url, Timestamp::from_second(second).unwrap());
            queries.push(url.query().unwrap().to_owned());
        }
        // Computed with Python's hmac module.
        assert_eq!(
            queries[0],
            "numofmessages=2&sv=2019-12-12&ss=q&srt=sco&sp=rwdlacup&se=1970-01-01T00%3A00%3A00Z&sig=mUfYHnwfpPedpLYPmrSjgKPMdn81FehrsbujA7XmCPg%3D"
        );
        assert!(
            queries[1].starts_with("numofmessages=2&sv=")
                && queries[1].contains("se=1970-01-01T00%3A01%3A00Z")
        );
        assert_eq!(queries[1].matches("sig=").count(), 1);
        assert_eq!(format!("{signer:?}"), r#"SignWithKey { account: "acme", key: … }"#);
    }

    #[test]
    fn a_key_is_base64() {
        assert!(signer("not base64!").is_none());
    }
}
