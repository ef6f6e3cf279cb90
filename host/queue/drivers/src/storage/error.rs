//! What the service's refusals mean, and what to do about them. ([Queue Storage error
//! codes](https://learn.microsoft.com/rest/api/storageservices/queue-service-error-codes))

use std::error::Error as _;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use http::{Method, StatusCode};

use longshore_azure::{NoReply, NoToken, Unanswered, cause, retry_after};
use longshore_queue::place::{Place, StorageAccess};
use longshore_queue::{QueueError, QueueUrl};

/// How much of an error code is repeated, in characters.
const MAX_CODE: usize = 80;

/// What was asked of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorageCall {
    Create,
    List,
    DeleteQueue,
    Receive,
    Send,
    Update,
    Delete,
    Peek,
    Count,
}

impl StorageCall {
    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create a queue",
            Self::List => "list queues",
            Self::DeleteQueue => "delete a queue",
            Self::Receive => "receive messages",
            Self::Send => "send messages",
            Self::Update => "renew and release messages (Update Message)",
            Self::Delete => "delete messages",
            Self::Peek => "peek at messages",
            Self::Count => "count messages",
        }
    }

    /// The least built-in role that may ([Azure built-in roles for
    /// Storage](https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage)).
    fn role(self) -> &'static str {
        match self {
            Self::Receive | Self::Delete => "Storage Queue Data Message Processor",
            Self::Send => "Storage Queue Data Message Sender",
            Self::Peek | Self::Count | Self::List => "Storage Queue Data Reader",
            Self::Update | Self::Create | Self::DeleteQueue => "Storage Queue Data Contributor",
        }
    }

    /// The permission of a shared access signature that may ([Create a service
    /// SAS](https://learn.microsoft.com/rest/api/storageservices/create-service-sas#permissions-for-a-queue)).
    fn permission(self) -> &'static str {
        match self {
            Self::Receive | Self::Delete => "p (process)",
            Self::Send => "a (add)",
            Self::Update => "u (update)",
            Self::Peek | Self::Count => "r (read)",
            Self::Create => "c (create), of an account SAS",
            Self::List => "l (list), of an account SAS for the service",
            Self::DeleteQueue => "d (delete), of an account SAS",
        }
    }

    /// Its method.
    pub(super) fn method(self) -> Method {
        match self {
            Self::List | Self::Receive | Self::Peek | Self::Count => Method::GET,
            Self::Send => Method::POST,
            Self::Create | Self::Update => Method::PUT,
            Self::Delete | Self::DeleteQueue => Method::DELETE,
        }
    }

    /// Whether this is the status of an answer to it that was carried out.
    pub(super) fn is_done(self, status: StatusCode) -> bool {
        match self {
            Self::List | Self::Receive | Self::Peek | Self::Count => status == StatusCode::OK,
            Self::Send => status == StatusCode::CREATED,
            Self::Create => matches!(status, StatusCode::CREATED | StatusCode::NO_CONTENT),
            Self::Update | Self::Delete | Self::DeleteQueue => status == StatusCode::NO_CONTENT,
        }
    }

    fn changes_something(self) -> bool {
        !matches!(self, Self::Peek | Self::Count | Self::List)
    }
}

/// Whose refusals are explained: the queue, and how its caller proves who it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explainer<'a> {
    pub(super) url: &'a QueueUrl,
    /// Whether calls carry a token of the identity. Otherwise the URL brought a signature.
    pub(super) with_token: bool,
}

impl Explainer<'_> {
    /// What it means that a call has no answer.
    pub(super) fn unanswered(&self, why: Unanswered) -> QueueError {
        match why {
            Unanswered::NoToken(error) => crate::token::no_token(error, self.url),
            Unanswered::InTheClear => fault(format!("{}: {why}", self.url), TOKEN_IN_THE_CLEAR),
            Unanswered::NoReply(NoReply::Unreached(cause)) => self.unreachable(&cause),
            Unanswered::NoReply(error) => QueueError::unclear(self.url, error.to_string()),
        }
    }

    /// Puts an error of the SDK into our words. Its own may repeat URLs, and with them receipts and
    /// signatures.
    pub(super) fn explain(&self, call: StorageCall, error: &Error) -> QueueError {
        if let Some(error) = error.source().and_then(|source| source.downcast_ref::<NoToken>()) {
            return crate::token::no_token(error.clone(), self.url);
        }
        match error.kind() {
            ErrorKind::HttpResponse { status, error_code, raw_response } => {
                let after = raw_response.as_ref().and_then(|response| retry_after(response.headers()));
                self.refused(call, (*status).into(), error_code.as_deref().unwrap_or_default(), after)
            }
            ErrorKind::Connection => self.unreachable(&cause(error)),
            _ => QueueError::unclear(self.url, cause(error)),
        }
    }

    /// What a refusal with this status and word means.
    pub(super) fn refused(
        &self,
        call: StorageCall,
        status: u16,
        code: &str,
        retry_after: Option<Duration>,
    ) -> QueueError {
        // No code of the service is as long.
        let code = code.char_indices().nth(MAX_CODE).map_or(code, |(end, _)| &code[..end]);
        let said = if code.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status} {code}") };
        match (status, code) {
            (404, "MessageNotFound") => QueueError::MessageNotFound,
            (400, "PopReceiptMismatch") => QueueError::ReceiptMismatch,
            (404, "QueueNotFound" | "ResourceNotFound") => {
                QueueError::QueueNotFound { queue: self.url.to_string() }
            }
            // The bodies that we send are measured first: this says that the service measures
            // otherwise.
            (413, _) | (400, "MessageTooLarge" | "RequestBodyTooLarge") => {
                let limit = self.url.kind().max_body;
                QueueError::TooLarge { queue: self.url.to_string(), size: None, limit }
            }
            (401 | 403, _) => self.denied(call, code, said),
            (500..=599 | 408, _) if status != 503 && call.changes_something() => {
                QueueError::unclear(self.url, said)
            }
            (429 | 500..=599 | 408, _) | (409, "QueueBeingDeleted") => {
                QueueError::Busy { queue: self.url.to_string(), cause: said, retry_after }
            }
            _ => QueueError::Fault {
                cause: format!("{}: the service refused to {}: {said}", self.url, call.verb()),
                mend: "is this the URL of a Storage queue?".into(),
            },
        }
    }

    fn denied(&self, call: StorageCall, code: &str, cause: String) -> QueueError {
        let scope = self.scope(call);
        let mend = match (self.with_token, code) {
            (false, "AuthenticationFailed") if self.has_key() => {
                "is the key in the connection string one of the account's, and is the host's clock right?".into()
            }
            (false, _) if self.has_key() => {
                "does the account allow its keys (allowSharedKeyAccess), and does its firewall let this network in?".into()
            }
            (false, "AuthenticationFailed") => {
                "the SAS has expired or its signature is wrong: make a new one, and quote the URL in the shell".into()
            }
            (false, _) => format!("give a SAS with the permission {}", call.permission()),
            (true, "InvalidAuthenticationInfo" | "AuthenticationFailed") => {
                "are the identity and the storage account in one tenant, and is the host's clock right?".into()
            }
            (true, "AuthorizationFailure") => format!(
                "does the account's firewall let this network in? If so, assign the identity the role `{}` on {scope}",
                call.role()
            ),
            (true, _) => format!(
                "assign the identity the role `{}` on {scope}; that takes up to ten minutes to work",
                call.role()
            ),
        };
        QueueError::Denied { queue: self.url.to_string(), operation: call.verb(), cause, mend }
    }

    /// Whether requests are signed with the account's key.
    fn has_key(&self) -> bool {
        matches!(self.url.place(), Place::Storage { access: Some(StorageAccess::Key(_)), .. })
    }

    /// Where a role has to be assigned, as Azure writes it.
    fn scope(&self, call: StorageCall) -> String {
        let account = self.url.owner().unwrap_or_default();
        match call {
            StorageCall::List => format!(".../storageAccounts/{account}"),
            _ => format!(".../storageAccounts/{account}/queueServices/default/queues/{}", self.url.name()),
        }
    }

    fn unreachable(&self, cause: &str) -> QueueError {
        let account = self.url.owner().unwrap_or_default();
        let cause = format!(
            "no connection to it: {cause}; is there a storage account `{account}`, and may this network reach it?"
        );
        QueueError::busy(self.url, cause)
    }
}

/// What mends that a token would go over plain HTTP.
pub(super) const TOKEN_IN_THE_CLEAR: &str =
    "use https (Azurite: `--oauth basic` with a certificate), or give a SAS";

/// A fault, with what mends it.
pub(super) fn fault(cause: String, mend: &str) -> QueueError {
    QueueError::Fault { cause, mend: mend.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAS: &str = "http://127.0.0.1:10001/devstoreaccount1/orders?sig=x";

    fn refused(url: &str, call: StorageCall, status: u16, code: &str) -> QueueError {
        let url: QueueUrl = url.parse().unwrap();
        let with_token = url.token_host().is_some();
        Explainer { url: &url, with_token }.refused(call, status, code, None)
    }

    #[test]
    fn each_refusal_is_what_the_loop_decides_by() {
        use StorageCall::{Count, Create, Delete, Peek, Receive, Send, Update};
        for (call, status, code, expected) in [
            (Delete, 404, "MessageNotFound", "MessageNotFound"),
            (Update, 400, "PopReceiptMismatch", "ReceiptMismatch"),
            (Receive, 404, "QueueNotFound", "QueueNotFound"),
            (Receive, 404, "ResourceNotFound", "QueueNotFound"),
            (Send, 413, "RequestBodyTooLarge", "TooLarge"),
            (Send, 400, "MessageTooLarge", "TooLarge"),
            (Delete, 503, "ServerBusy", "Busy"),
            (Delete, 429, "TooManyRequests", "Busy"),
            (Create, 409, "QueueBeingDeleted", "Busy"),
            // What was to be changed may have been changed; what was to be read was not.
            (Delete, 500, "OperationTimedOut", "Unclear"),
            (Send, 599, "", "Unclear"),
            (Receive, 408, "", "Unclear"),
            (Count, 500, "InternalError", "Busy"),
            (Peek, 408, "", "Busy"),
            (Create, 409, "QueueAlreadyExists", "Fault"),
            (Receive, 400, "InvalidHeaderValue", "Fault"),
            (Receive, 401, "InvalidAuthenticationInfo", "Denied"),
            (Receive, 403, "AuthorizationPermissionMismatch", "Denied"),
        ] {
            let refusal = format!("{:?}", refused(SAS, call, status, code));
            assert!(refusal.starts_with(expected), "{call:?} {status} {code}: {refusal}");
        }
        let too_large = refused(SAS, Send, 413, "RequestBodyTooLarge").to_string();
        let queue = "http://127.0.0.1:10001/devstoreaccount1/orders";
        assert_eq!(too_large, format!("the body is too large for {queue}, which takes 65536 bytes"));
        assert_eq!(
            refused(SAS, Send, 503, "").to_string(),
            format!("{queue} cannot take the call now: HTTP 503")
        );
    }

    #[test]
    fn each_call_that_is_denied_names_the_role_or_the_permission_that_it_needs() {
        use StorageCall::{Count, Create, Delete, Peek, Receive, Send, Update};
        const TOKEN: &str = "https://acme.queue.core.windows.net/orders";
        for (call, role, permission) in [
            (Create, "Contributor", "c (create)"),
            (Receive, "Message Processor", "p (process)"),
            (Delete, "Message Processor", "p (process)"),
            (Send, "Message Sender", "a (add)"),
            (Update, "Contributor", "u (update)"),
            (Peek, "Reader", "r (read)"),
            (Count, "Reader", "r (read)"),
        ] {
            let denied = refused(SAS, call, 403, "AuthorizationPermissionMismatch").to_string();
            assert!(denied.contains(&format!("give a SAS with the permission {permission}")), "{denied}");
            let denied = refused(TOKEN, call, 403, "AuthorizationPermissionMismatch").to_string();
            let scope = ".../storageAccounts/acme/queueServices/default/queues/orders";
            let wanted = format!("the role `Storage Queue Data {role}` on {scope}");
            assert!(denied.contains(&wanted) && denied.contains(call.verb()), "{denied}");
            // Behind a firewall the role may be there already.
            let denied = refused(TOKEN, call, 403, "AuthorizationFailure").to_string();
            assert!(denied.contains("firewall") && denied.contains(&wanted), "{denied}");
        }
        for (url, code, mend) in [
            (SAS, "AuthenticationFailed", "the SAS has expired"),
            (TOKEN, "InvalidAuthenticationInfo", "in one tenant"),
            (TOKEN, "AuthenticationFailed", "in one tenant"),
        ] {
            let denied = refused(url, Receive, 401, code).to_string();
            assert!(denied.contains(mend), "{denied}");
        }
    }

    #[test]
    fn an_account_that_is_not_reached_is_named() {
        let url: QueueUrl = "https://acme.queue.core.windows.net/orders".parse().unwrap();
        let explainer = Explainer { url: &url, with_token: true };
        let error = Error::with_message(ErrorKind::Connection, "refused");
        let of_sdk = explainer.explain(StorageCall::List, &error);
        let unreached = explainer.unanswered(NoReply::Unreached("refused".into()).into());
        for unreached in [of_sdk, unreached] {
            assert!(matches!(unreached, QueueError::Busy { .. }), "{unreached:?}");
            assert!(unreached.to_string().contains("is there a storage account `acme`"), "{unreached}");
        }
    }
}
