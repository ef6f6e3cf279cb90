//! What the service's refusals mean, and what to do about them.
//! ([Queue Storage error codes](https://learn.microsoft.com/rest/api/storageservices/queue-service-error-codes))

use std::error::Error as _;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::HeaderName;

use super::StorageQueue;
use longshore_azure::{NoToken, cause};
use longshore_queue::url::Place;
use longshore_queue::{MAX_BODY, QueueError};

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

/// What was asked of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Receive,
    Send,
    Update,
    Delete,
    Peek,
    Count,
    Clear,
}

impl Operation {
    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create a queue",
            Self::Receive => "receive messages",
            Self::Send => "send messages",
            Self::Update => "renew and release messages (Update Message)",
            Self::Delete => "delete messages",
            Self::Peek => "peek at messages",
            Self::Count => "count messages",
            Self::Clear => "clear the queue",
        }
    }

    /// The least built-in role that may
    /// ([Azure built-in roles for Storage](https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage)).
    fn role(self) -> &'static str {
        match self {
            Self::Receive | Self::Delete => "Storage Queue Data Message Processor",
            Self::Send => "Storage Queue Data Message Sender",
            Self::Peek | Self::Count => "Storage Queue Data Reader",
            Self::Update | Self::Create | Self::Clear => "Storage Queue Data Contributor",
        }
    }

    /// The permission of a shared access signature that may
    /// ([Create a service SAS](https://learn.microsoft.com/rest/api/storageservices/create-service-sas#permissions-for-a-queue)).
    fn permission(self) -> &'static str {
        match self {
            Self::Receive | Self::Delete => "p (process)",
            Self::Send => "a (add)",
            Self::Update => "u (update)",
            Self::Peek | Self::Count => "r (read)",
            Self::Create => "c (create), of an account SAS",
            Self::Clear => "d (delete), of an account SAS",
        }
    }

    fn changes_something(self) -> bool {
        !matches!(self, Self::Peek | Self::Count)
    }
}

impl StorageQueue {
    /// Puts an error of the SDK into our words. Its own may repeat URLs, and with them receipts and signatures.
    pub(super) fn explain(&self, operation: Operation, error: &Error) -> QueueError {
        if let Some(error) = error.source().and_then(|source| source.downcast_ref::<NoToken>()) {
            return crate::token::no_token(error.clone());
        }
        match error.kind() {
            ErrorKind::HttpResponse { status, error_code, raw_response } => {
                let retry_after = raw_response
                    .as_ref()
                    .and_then(|response| {
                        response.headers().get_optional_str(&RETRY_AFTER)?.trim().parse().ok()
                    })
                    .map(Duration::from_secs);
                self.refused(
                    operation,
                    (*status).into(),
                    error_code.as_deref().unwrap_or_default(),
                    retry_after,
                )
            }
            ErrorKind::Connection => self.unreachable(&cause(error)),
            _ => QueueError::Unclear { cause: cause(error) },
        }
    }

    fn refused(
        &self,
        operation: Operation,
        status: u16,
        code: &str,
        retry_after: Option<Duration>,
    ) -> QueueError {
        let said = if code.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status} {code}") };
        match (status, code) {
            (404, "MessageNotFound") => QueueError::MessageNotFound,
            (400, "PopReceiptMismatch") => QueueError::ReceiptMismatch,
            (404, "QueueNotFound" | "ResourceNotFound") => {
                QueueError::QueueNotFound { queue: self.url.to_string() }
            }
            // The bodies that we send are measured first: this says that the service measures otherwise.
            (413, _) | (400, "MessageTooLarge" | "RequestBodyTooLarge") => {
                QueueError::TooLarge { size: MAX_BODY + 1, limit: MAX_BODY }
            }
            (401 | 403, _) => self.denied(operation, code, said),
            (429 | 503, _) | (409, "QueueBeingDeleted") => QueueError::Busy { cause: said, retry_after },
            (500..=599 | 408, _) if operation.changes_something() => QueueError::Unclear { cause: said },
            (500..=599 | 408, _) => QueueError::Busy { cause: said, retry_after },
            _ => QueueError::Fault {
                cause: format!("{}: the service refused to {}: {said}", self.url, operation.verb()),
                mend: "is this the URL of a Storage queue?".into(),
            },
        }
    }

    fn denied(&self, operation: Operation, code: &str, cause: String) -> QueueError {
        let scope = self.scope();
        let mend = match (&self.tokens, code) {
            (None, "AuthenticationFailed") => {
                "the SAS has expired or its signature is wrong: make a new one, and quote the URL in the shell".into()
            }
            (None, _) => format!("give a SAS with the permission {}", operation.permission()),
            (Some(_), "InvalidAuthenticationInfo" | "AuthenticationFailed") => {
                "are the identity and the storage account in one tenant, and is the host's clock right?".into()
            }
            (Some(_), "AuthorizationFailure") => format!(
                "does the account's firewall let this network in? If so, assign the identity the role `{}` on {scope}",
                operation.role()
            ),
            (Some(_), _) => format!(
                "assign the identity the role `{}` on {scope}; that takes up to ten minutes to work",
                operation.role()
            ),
        };
        QueueError::Denied { operation: operation.verb(), cause, mend }
    }

    /// Where a role has to be assigned, as Azure writes it.
    fn scope(&self) -> String {
        let account = self.account().unwrap_or_default();
        format!(".../storageAccounts/{account}/queueServices/default/queues/{}", self.url.name())
    }

    /// The account's name: the first label of the host, or behind the host where that is an address.
    fn account(&self) -> Option<&str> {
        let Place::Storage { endpoint, .. } = self.url.place() else { return None };
        let (host, path) =
            endpoint.split_once("://")?.1.split_once('/').unwrap_or((endpoint.split_once("://")?.1, ""));
        if path.is_empty() { host.split('.').next() } else { Some(path) }
    }

    fn unreachable(&self, cause: &str) -> QueueError {
        let account = self.account().unwrap_or_default();
        QueueError::Busy {
            cause: format!(
                "no connection to {}: {cause}; is there a storage account `{account}`, and may this network reach it?",
                self.url
            ),
            retry_after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_azure::{Azure, Credential};

    fn queue(query: &str) -> StorageQueue {
        let url = format!("http://127.0.0.1:10001/devstoreaccount1/orders?{query}").parse().unwrap();
        StorageQueue::open(url, &Azure::new(Credential::Developer)).unwrap()
    }

    #[test]
    fn each_refusal_is_what_the_loop_decides_by() {
        let queue = queue("sig=x");
        let refused = |operation, status, code| queue.refused(operation, status, code, None);
        use Operation::{Count, Delete, Receive, Send, Update};
        assert_eq!(refused(Delete, 404, "MessageNotFound"), QueueError::MessageNotFound);
        assert_eq!(refused(Update, 400, "PopReceiptMismatch"), QueueError::ReceiptMismatch);
        assert!(matches!(refused(Receive, 404, "QueueNotFound"), QueueError::QueueNotFound { .. }));
        assert!(matches!(refused(Send, 413, "RequestBodyTooLarge"), QueueError::TooLarge { .. }));
        assert!(matches!(refused(Delete, 503, "ServerBusy"), QueueError::Busy { .. }));
        assert!(matches!(refused(Delete, 500, "OperationTimedOut"), QueueError::Unclear { .. }));
        assert!(matches!(refused(Count, 500, "InternalError"), QueueError::Busy { .. }));
        assert!(matches!(refused(Receive, 400, "InvalidHeaderValue"), QueueError::Fault { .. }));
        assert!(matches!(
            refused(Receive, 403, "AuthorizationPermissionMismatch"),
            QueueError::Denied { .. }
        ));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let denied = queue("sig=x").refused(Operation::Update, 403, "AuthorizationPermissionMismatch", None);
        assert!(denied.to_string().ends_with("give a SAS with the permission u (update)"), "{denied}");
        let url = "https://acme.queue.core.windows.net/orders".parse().unwrap();
        let queue = StorageQueue::open(url, &Azure::new(Credential::Developer)).unwrap();
        let denied =
            queue.refused(Operation::Receive, 403, "AuthorizationPermissionMismatch", None).to_string();
        let role = "the role `Storage Queue Data Message Processor` on .../storageAccounts/acme/queueServices/default/queues/orders";
        assert!(denied.contains("not allowed to receive messages") && denied.contains(role), "{denied}");
    }
}
