//! Which credential: the platform's identity where there is one, else the developer's own login.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::error::Error;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    ClientAssertionCredentialOptions, DeveloperToolsCredential, DeveloperToolsCredentialOptions,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use crate::developer::OneTool;
use crate::http::{SharedHttp, ShortAnswers};
use crate::managed_identity::ManagedIdentity;
use crate::token::{CredentialSource, CredentialUse};

/// The longest answer of an endpoint that gives tokens, in bytes.
const MAX_TOKEN_ANSWER: usize = 64 * 1024;
/// How long one try to fetch a token may take: an identity endpoint answers in well under a second.
const ONE_TRY: Duration = Duration::from_secs(6);
/// The same for a developer's tools, which take seconds and wait for each other. Each has a limit
/// of its own.
const ONE_TRY_OF_TOOLS: Duration = Duration::from_secs(60);

/// How the host authenticates itself to Azure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Credential {
    /// Managed identity where the platform offers one (IDENTITY_ENDPOINT), workload identity where
    /// it hands out tokens in a file (AZURE_FEDERATED_TOKEN_FILE), else the developer's login.
    #[default]
    Auto,
    /// The identity of the Container App, App Service or virtual machine; AZURE_CLIENT_ID says
    /// which one, if there are several.
    ManagedIdentity,
    /// Federated tokens, as Kubernetes hands them out: AZURE_TENANT_ID, AZURE_CLIENT_ID,
    /// AZURE_FEDERATED_TOKEN_FILE.
    WorkloadIdentity,
    /// The login of the Azure CLI or the Azure Developer CLI.
    Developer,
}

impl Credential {
    /// What `auto` stands for, here and now.
    fn settled(self) -> Self {
        match self {
            Self::Auto if set("IDENTITY_ENDPOINT").is_some() => Self::ManagedIdentity,
            Self::Auto if set("AZURE_FEDERATED_TOKEN_FILE").is_some() => Self::WorkloadIdentity,
            Self::Auto => Self::Developer,
            chosen => chosen,
        }
    }

    /// Its name in errors.
    fn who(self) -> &'static str {
        match self.settled() {
            Self::ManagedIdentity => "the managed identity",
            Self::WorkloadIdentity => "the workload identity",
            Self::Developer | Self::Auto => "the developer's login",
        }
    }

    /// What to do when it gives no token.
    fn mend(self, client_id: Option<&str>) -> String {
        if let (Self::ManagedIdentity, Some(id)) = (self.settled(), client_id) {
            return format!("is the identity whose client id is {id} assigned to this job or app?");
        }
        match (self.settled(), set("AZURE_CLIENT_ID")) {
            (Self::ManagedIdentity, None) => "AZURE_CLIENT_ID is not set, so that the system-assigned identity was asked for: for a user-assigned one, set it to that identity's client id".into(),
            (Self::ManagedIdentity, Some(id)) => format!(
                "is the identity whose client id is {id} (AZURE_CLIENT_ID) assigned to this job or app?"
            ),
            (Self::WorkloadIdentity, _) => "are AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE set as the platform sets them, and is the federation between them there?".into(),
            (Self::Developer | Self::Auto, _) => "log in with `az login` or `azd auth login`; in Azure, assign a managed identity (no IDENTITY_ENDPOINT is set here)".into(),
        }
    }

    /// How tokens are fetched with it, by calls through `http`. A client id names another identity
    /// than that of the process; a developer has one only.
    pub(super) fn used(self, http: Arc<SharedHttp>, client_id: Option<String>) -> CredentialUse {
        let (who, mend) = (self.who(), self.mend(client_id.as_deref()));
        let source: CredentialSource = Box::new(move || self.make(&http, client_id.clone()));
        match self.settled() {
            // A login that is not there will not be there in a second, and somebody waits.
            Self::Developer | Self::Auto => {
                CredentialUse { source, who, mend, one_try: ONE_TRY_OF_TOOLS, is_asked_again: false }
            }
            Self::ManagedIdentity | Self::WorkloadIdentity => {
                CredentialUse { source, who, mend, one_try: ONE_TRY, is_asked_again: true }
            }
        }
    }

    fn make(
        self,
        http: &Arc<SharedHttp>,
        client_id: Option<String>,
    ) -> Result<Arc<dyn TokenCredential>, Error> {
        let http = ShortAnswers { http: http.clone(), max: MAX_TOKEN_ANSWER };
        Ok(match self.settled() {
            Self::ManagedIdentity => Arc::new(ManagedIdentity::here(http, client_id)?),
            Self::WorkloadIdentity => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions {
                        client_options: options(Transport::new(Arc::new(http))),
                    },
                    client_id,
                    ..Default::default()
                }))?
            }
            Self::Developer | Self::Auto => {
                DeveloperToolsCredential::new(Some(DeveloperToolsCredentialOptions {
                    executor: Some(Arc::new(OneTool)),
                }))?
            }
        })
    }
}

/// The shared transport, and no retries: the caller decides what is tried again.
pub fn client_options(http: &Arc<SharedHttp>) -> ClientOptions {
    options(Transport::new(http.clone()))
}

fn options(transport: Transport) -> ClientOptions {
    ClientOptions { transport: Some(transport), retry: RetryOptions::none(), ..ClientOptions::default() }
}

/// A variable that is there and not empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
