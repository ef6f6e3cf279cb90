//! Which credential: the platform's identity where there is one, else the developer's own login.

use std::env;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::Error;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    ClientAssertionCredentialOptions, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use crate::http::SharedHttp;
use crate::token::CredentialSource;

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
    pub(super) fn who(self) -> &'static str {
        match self.settled() {
            Self::ManagedIdentity => "the managed identity",
            Self::WorkloadIdentity => "the workload identity",
            Self::Developer | Self::Auto => "the developer's login",
        }
    }

    /// What to do when it gives no token.
    pub(super) fn mend(self, client_id: Option<&str>) -> String {
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

    /// Makes credentials that call through `http`, one try each. A client id names another identity
    /// than that of the process; a developer has one only.
    pub(super) fn source(self, http: Arc<SharedHttp>, client_id: Option<String>) -> CredentialSource {
        Box::new(move || self.make(&http, client_id.clone()))
    }

    fn make(
        self,
        http: &Arc<SharedHttp>,
        client_id: Option<String>,
    ) -> Result<Arc<dyn TokenCredential>, Error> {
        let client_options = client_options(http);
        Ok(match self.settled() {
            Self::ManagedIdentity => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    // The SDK does not read it itself.
                    user_assigned_id: client_id
                        .or_else(|| set("AZURE_CLIENT_ID"))
                        .map(UserAssignedId::ClientId),
                    client_options,
                }))?
            }
            Self::WorkloadIdentity => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id,
                    ..Default::default()
                }))?
            }
            Self::Developer | Self::Auto => DeveloperToolsCredential::new(None)?,
        })
    }
}

/// The shared transport, and no retries: the caller decides what is tried again.
pub fn client_options(http: &Arc<SharedHttp>) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(http.clone())),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    }
}

/// A variable that is there and not empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
