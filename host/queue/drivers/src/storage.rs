//! Azure Storage Queue, over HTTPS with a token or over either with a shared access signature;
//! Azurite the same.
//!
//! No call is retried here: a retried receive can lease a batch that no caller gets, and the caller
//! alone knows what may be repeated. Answers that hold messages are read by `xml`, leniently.
//!
//! The service's durations are whole seconds. They are rounded up: a lease is then never longer on
//! our clock than on the service's, and a message never visible before its delay is over. A delay
//! of 300 ms is one of a second.

mod account_key;
mod address;
mod answer;
mod client;
mod error;
mod listing;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::ClientOptions;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderMap, Response, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;

use self::account_key::SignWithKey;
use self::answer::{COUNT, POP_RECEIPT, service_time, text};
use self::client::{StorageClient, StorageCredential, Target};
use self::error::{Explainer, StorageCall, TOKEN_IN_THE_CLEAR, fault};
use self::xml::QueueEntry;
use longshore_azure::{Authorize, Azure, SharedHttp, Tokens, Unanswered, client_options};
use longshore_queue::kind::STORAGE;
use longshore_queue::limits::{check_lease, check_life, check_max, check_visibility, whole_seconds};
use longshore_queue::place::{Place, StorageAccess};
use longshore_queue::{
    Horizon, MAX_RECEIVE, Message, Outgoing, Queue, QueueError, QueueUrl, Receipt, Received, Right, Specimen,
};

/// How long any call may take. The service itself gives up on an operation after 30 s at most
/// ([Setting
/// timeouts](https://learn.microsoft.com/rest/api/storageservices/setting-timeouts-for-queue-service-operations)).
const LIMIT: Duration = Duration::from_secs(20);

/// Longer than the unit of time that messages are stamped in.
const STAMP: Duration = Duration::from_millis(1050);

/// What makes a message never expire ([Put
/// Message](https://learn.microsoft.com/rest/api/storageservices/put-message), `messagettl`).
const NEVER: i32 = -1;

/// The id of a message that does not exist, and a receipt that has the form of one.
const NO_MESSAGE: &str = "00000000-0000-0000-0000-000000000000";
const NO_RECEIPT: &str = "AgAAAAMAAAAAAAAAAAAAAAAAAAA=";

/// The longest receipt that is kept, in bytes. The service's have some forty, and one that fits
/// into no URL could settle nothing.
const MAX_RECEIPT: usize = 1024;

/// One queue of a storage account.
#[derive(Debug)]
pub struct StorageQueue {
    url: QueueUrl,
    client: StorageClient,
    http: Arc<SharedHttp>,
    limit: Duration,
}

impl StorageQueue {
    /// A handle to the queue of this URL. Nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`QueueError::Fault`] if the URL is not that of a Storage queue, if it is plain HTTP without
    /// a signature, or if there are no certificates to check the service's with.
    pub fn open(url: QueueUrl, azure: &Azure) -> Result<Self, QueueError> {
        let Place::Storage { endpoint, access } = url.place() else {
            let mend = format!("write `{}`", STORAGE.forms[0].example);
            return Err(fault(format!("{url} is no Storage queue"), &mend));
        };
        let address = address::address(&url, endpoint, access.as_ref(), Some(url.name()))?;
        let server = azure
            .http()
            .server(&address)
            .map_err(|cause| fault(format!("{url}: {cause}"), "run this again when they are there"))?;
        let access = match access {
            // As the address has it, where it is escaped.
            Some(StorageAccess::Signature(_)) => {
                StorageCredential::Signature(address.query().unwrap_or_default().into())
            }
            Some(StorageAccess::Key(key)) => {
                StorageCredential::Key(Arc::new(SignWithKey::new(key).ok_or_else(|| {
                    let mend = "copy the connection string as the portal shows it";
                    fault(format!("{url}: the account's key in the connection string is no base64"), mend)
                })?))
            }
            None if address.scheme() != "https" => {
                return Err(fault(format!("{url}: {}", Unanswered::InTheClear), TOKEN_IN_THE_CLEAR));
            }
            None => {
                let accepted = STORAGE.tokens.as_ref().expect("a Storage queue takes tokens");
                StorageCredential::Token(azure.tokens(accepted.scope))
            }
        };
        let client = StorageClient::new(server, &address, access);
        Ok(Self { url, client, http: azure.http().clone(), limit: LIMIT })
    }

    /// The same queue with another time limit for each call.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Carries out a call within the limit, and puts what went wrong into our words. Waiting for a
    /// first token has a limit of its own.
    async fn call(
        &self,
        call: StorageCall,
        target: Target,
        body: Bytes,
    ) -> Result<Response<Bytes>, QueueError> {
        self.sign_in().await?;
        let answer = match timeout(self.limit, self.client.call(call.method(), target, body)).await {
            Ok(answer) => answer.map_err(|why| self.explainer().unanswered(why))?,
            Err(_) => return Err(self.silent()),
        };
        match answer.status() {
            status if call.is_done(status) => Ok(answer),
            // The service never answers such a call with it: somebody else did.
            status if status.is_success() => {
                Err(self.unclear(&format!("HTTP {status}, which the service does not answer")))
            }
            status => {
                let (code, after) = (answer::error_code(&answer), answer::retry_after(answer.headers()));
                Err(self.explainer().refused(call, status.as_u16(), &code, after))
            }
        }
    }

    fn explainer(&self) -> Explainer<'_> {
        Explainer { url: &self.url, with_token: self.tokens().is_some() }
    }

    /// `None` where the URL brought a signature, or the key to make one.
    fn tokens(&self) -> Option<&Arc<Tokens>> {
        match &self.client.access {
            StorageCredential::Token(tokens) => Some(tokens),
            StorageCredential::Signature(_) | StorageCredential::Key(_) => None,
        }
    }

    /// What goes with each call of the SDK's clients.
    fn sdk_options(&self) -> ClientOptions {
        let mut options = client_options(&self.http);
        match &self.client.access {
            StorageCredential::Token(tokens) => {
                options.per_try_policies.push(Arc::new(Authorize(tokens.clone())))
            }
            StorageCredential::Key(key) => options.per_try_policies.push(key.clone()),
            StorageCredential::Signature(_) => {}
        }
        options
    }

    fn silent(&self) -> QueueError {
        self.unclear(&format!("no answer within {:?}", self.limit))
    }

    async fn sign_in(&self) -> Result<(), QueueError> {
        let Some(tokens) = self.tokens() else { return Ok(()) };
        tokens.token().await.map(drop).map_err(|error| crate::token::no_token(error, &self.url))
    }

    fn unclear(&self, cause: &str) -> QueueError {
        QueueError::unclear(&self.url, cause)
    }

    /// The messages in an answer, with their receipts.
    fn read(&self, headers: &HeaderMap, body: &Bytes) -> Result<Vec<(QueueEntry, Message)>, QueueError> {
        // What the service calls now; ours may be wrong.
        let now = service_time(headers);
        let found = xml::entries(body);
        if !found.complete {
            if found.entries.is_empty() {
                return Err(self.unclear("the answer is not a list of messages"));
            }
            tracing::warn!(queue = %self.url, messages = found.entries.len(), "the answer breaks off: what was whole is used");
        }
        let message = |mut entry: QueueEntry| {
            // It becomes a part of URLs, where another one would lead elsewhere.
            let is_id = |id: &String| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let Some(id) = entry.id.take().filter(is_id).filter(|id| !id.is_empty()) else {
                tracing::warn!(queue = %self.url, "a message came without an id that one can be: it is left to its lease");
                return None;
            };
            let left = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
            let message = Message {
                id,
                body: entry.text.bytes.clone(),
                // What is no count is never 0 without a word: see `receive`.
                dequeue_count: entry.dequeue_count.clone().unwrap_or_default(),
                inserted: entry.inserted.unwrap_or(now),
                time_to_live: entry.expires.map(left),
                properties: Vec::new(),
            };
            Some((entry, message))
        };
        let listed = found.entries.len();
        let messages: Vec<_> = found.entries.into_iter().filter_map(message).collect();
        if listed > 0 && messages.is_empty() {
            return Err(self.unclear("its messages have no ids"));
        }
        Ok(messages)
    }
}

#[async_trait]
impl Queue for StorageQueue {
    fn url(&self) -> &QueueUrl {
        &self.url
    }

    async fn prepare(&self) -> Result<(), QueueError> {
        self.sign_in().await
    }

    async fn create(&self) -> Result<bool, QueueError> {
        match self.call(StorageCall::Create, self.client.queue(), Bytes::new()).await {
            Ok(created) => Ok(created.status() == StatusCode::CREATED),
            // It is there, with metadata: that is somebody's, and none of our business.
            Err(QueueError::Fault { cause, .. }) if cause.contains("QueueAlreadyExists") => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn list(&self) -> Result<Vec<String>, QueueError> {
        let explainer = self.explainer();
        let Some(mut pages) = listing::pages(&explainer, self.sdk_options())? else {
            return Ok(Vec::new());
        };
        self.sign_in().await?;
        let mut names = Vec::new();
        while names.len() < listing::MAX_LISTED {
            let page = timeout(self.limit, pages.try_next()).await.map_err(|_| self.silent())?;
            let page = page.map_err(|error| explainer.explain(StorageCall::List, &error))?;
            let Some(page) = page else { break };
            names.extend(
                listing::names(page).map_err(|_| self.unclear("the answer is not a list of queues"))?,
            );
        }
        names.sort();
        Ok(names)
    }

    async fn delete_queue(&self) -> Result<(), QueueError> {
        self.call(StorageCall::DeleteQueue, self.client.queue(), Bytes::new()).await.map(drop)
    }

    /// The service looks at the caller's rights before it looks for the message, so that it is
    /// asked about a message that does not exist. Receiving itself cannot be asked for, since it
    /// would lease; deleting needs the same right.
    async fn may(&self, right: Right) -> Result<(), QueueError> {
        let receipt = Receipt(NO_RECEIPT.into());
        let answer = match right {
            Right::Receive => self.delete(NO_MESSAGE, &receipt).await,
            Right::Update => self.update(NO_MESSAGE, &receipt, Duration::ZERO).await.map(drop),
        };
        match answer {
            Err(error) if error.is_stale() => Ok(()),
            answer => answer,
        }
    }

    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        check_max(max)?;
        check_lease(visibility)?;
        let target = self.client.messages().with_messages(max);
        let target = target.with("visibilitytimeout", whole_seconds(visibility));
        let answer = self.call(StorageCall::Receive, target, Bytes::new()).await?;
        let received = |(entry, message): (QueueEntry, Message)| {
            // Without a receipt nothing can be done with it before its lease ends.
            let receipt = Receipt(entry.receipt.filter(|receipt| receipt.len() <= MAX_RECEIPT)?);
            let uncounted = entry.dequeue_count.err().map(|damage| damage.to_string());
            Some(Received { message, receipt, damaged: uncounted.or(entry.text.damage) })
        };
        let read = self.read(answer.headers(), answer.body())?;
        let (leased, received) = (read.len(), read.into_iter().filter_map(received).collect::<Vec<_>>());
        if leased > received.len() {
            tracing::warn!(queue = %self.url, messages = leased - received.len(), "messages came without a receipt that one can be: they are left to their leases");
        }
        if leased > 0 && received.is_empty() {
            return Err(self.unclear("its messages have no receipts"));
        }
        Ok(received)
    }

    /// The message's id is the service's choice. The body has to be XML text, which is all that the
    /// service takes: valid UTF-8 without most control characters; anything else has to be encoded
    /// first, as base64.
    async fn send(&self, message: Outgoing) -> Result<String, QueueError> {
        check_visibility(message.delay)?;
        if let Some(cause) = xml::problem(&message.body) {
            return Err(fault(
                format!("a Storage queue takes text only, and the body has {cause}"),
                "send it as base64 (`--base64`)",
            ));
        }
        let size = xml::escaped_len(&message.body);
        if size > self.max_body() {
            return Err(QueueError::TooLarge {
                queue: self.url.to_string(),
                size: Some(size),
                limit: self.max_body(),
            });
        }
        // As the service will see them: in whole seconds.
        let rounded = |duration: Duration| Duration::from_secs(whole_seconds(duration));
        check_life(message.time_to_live.map(rounded), rounded(message.delay))?;
        let text = std::str::from_utf8(&message.body).unwrap_or_default();
        let target = match message.time_to_live {
            Some(life) => self.client.messages().with("messagettl", whole_seconds(life)),
            None => self.client.messages().with("messagettl", NEVER),
        };
        let target = target.with("visibilitytimeout", whole_seconds(message.delay));
        let answer = self.call(StorageCall::Send, target, xml::queue_message(text)).await?;
        let sent = xml::entries(answer.body()).entries;
        let id = sent.into_iter().next().and_then(|entry| entry.id);
        id.ok_or_else(|| self.unclear("the answer to a send has no id"))
    }

    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        check_visibility(visibility)?;
        let target = self.client.message(id).with_escaped("popreceipt", &receipt.0);
        let target = target.with("visibilitytimeout", whole_seconds(visibility));
        let answer = self.call(StorageCall::Update, target, Bytes::new()).await?;
        match text(answer.headers(), POP_RECEIPT) {
            Some(receipt) if receipt.len() <= MAX_RECEIPT => Ok(Receipt(receipt.to_owned())),
            _ => Err(self.unclear("the answer to an update has no receipt")),
        }
    }

    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        let target = self.client.message(id).with_escaped("popreceipt", &receipt.0);
        self.call(StorageCall::Delete, target, Bytes::new()).await.map(drop)
    }

    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        Ok(self.examine(max).await?.into_iter().map(|it| it.message).collect())
    }

    async fn horizon(&self) -> Result<Horizon, QueueError> {
        let target = self.client.messages().with("peekonly", true).with_messages(1);
        let answer = self.call(StorageCall::Peek, target, Bytes::new()).await?;
        let now = service_time(answer.headers());
        // Messages are stamped in whole seconds, as the answer is.
        tokio::time::sleep(STAMP).await;
        Ok(Horizon::Until(now))
    }

    async fn examine(&self, max: u32) -> Result<Vec<Specimen>, QueueError> {
        let specimen = |(entry, message): (QueueEntry, Message)| Specimen {
            damaged: entry.text.damage,
            ..Specimen::from(message)
        };
        let target = self.client.messages().with("peekonly", true);
        let target = target.with_messages(max.clamp(1, MAX_RECEIVE));
        let answer = self.call(StorageCall::Peek, target, Bytes::new()).await?;
        Ok(self.read(answer.headers(), answer.body())?.into_iter().map(specimen).collect())
    }

    /// A peek shows 32 at most: at more there is no telling.
    async fn visible_count(&self) -> Result<Option<u64>, QueueError> {
        let peeked = u64::try_from(self.peek(MAX_RECEIVE).await?.len()).unwrap_or(u64::MAX);
        Ok(Some(peeked).filter(|it| *it < u64::from(MAX_RECEIVE)))
    }

    async fn approximate_count(&self) -> Result<u64, QueueError> {
        let target = self.client.queue().with("comp", "metadata");
        let answer = self.call(StorageCall::Count, target, Bytes::new()).await?;
        let count = text(answer.headers(), COUNT).and_then(|it| it.parse().ok());
        count.ok_or_else(|| self.unclear("the answer has no count of messages"))
    }

    /// Whether the body is XML text of no more than [`Queue::max_body`] bytes, once escaped.
    fn fits(&self, body: &[u8]) -> bool {
        xml::escaped_len(body) <= self.max_body() && xml::problem(body).is_none()
    }
}

#[cfg(test)]
mod tests;
