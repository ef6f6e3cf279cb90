//! What proves to the service who we are: a token of the identity, or a signature made with a
//! shared key ([Claims-based
//! authorization](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide#claims-based-authorization)).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::form_urlencoded::byte_serialize;

use longshore_azure::{Token, Tokens};
use longshore_queue::place::SharedAccess;
use longshore_queue::{QueueError, QueueUrl};

/// How long a signature of ours is valid.
const SIGNED_FOR: Duration = Duration::from_secs(20 * 60);

/// The types of tokens, as `put-token` names them.
const IDENTITY: &str = "jwt";
const KEY: &str = "servicebus.windows.net:sastoken";

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum TokenSource {
    /// With the token that was given out last.
    Identity(Arc<Tokens>, Mutex<Option<Token>>),
    Key(SharedAccess),
}

/// A token as `put-token` takes it.
pub(super) struct PutToken {
    /// The `type` of the request.
    pub(super) kind: &'static str,
    pub(super) secret: String,
    /// How long it is valid.
    pub(super) left: Duration,
}

impl PutToken {
    /// What HTTP takes in `Authorization`.
    pub(super) fn header(self) -> String {
        match self.kind {
            IDENTITY => format!("Bearer {}", self.secret),
            _ => self.secret,
        }
    }
}

impl TokenSource {
    /// A token for an audience: `sb://NAMESPACE/QUEUE`. The queue is for errors.
    pub(super) async fn token(&self, audience: &str, queue: &QueueUrl) -> Result<PutToken, QueueError> {
        match self {
            Self::Identity(tokens, newest) => {
                let token = tokens.token().await.map_err(|error| crate::token::no_token(error, queue))?;
                *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
                Ok(PutToken { kind: IDENTITY, secret: token.secret().to_owned(), left: token.left() })
            }
            Self::Key(access) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let secret = sign(access, audience, (now + SIGNED_FOR).as_secs());
                Ok(PutToken { kind: KEY, secret, left: SIGNED_FOR })
            }
        }
    }

    /// The service has refused the token that was given out last. Whether the next one is another.
    pub(super) fn refused(&self) -> bool {
        let Self::Identity(tokens, newest) = self else { return false };
        if let Some(token) = newest.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tokens.refused(&token);
        }
        true
    }
}

/// A signature that is valid until a second of the Unix epoch
/// ([Generate a SAS token](https://learn.microsoft.com/rest/api/eventhub/generate-sas-token)).
fn sign(SharedAccess { name, key }: &SharedAccess, audience: &str, until: u64) -> String {
    let encoded = |bytes: &[u8]| byte_serialize(bytes).collect::<String>();
    let resource = encoded(audience.as_bytes());
    let mut hmac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length makes a signature");
    hmac.update(format!("{resource}\n{until}").as_bytes());
    let signature = encoded(STANDARD.encode(hmac.finalize().into_bytes()).as_bytes());
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={until}&skn={}", encoded(name.as_bytes()))
}
