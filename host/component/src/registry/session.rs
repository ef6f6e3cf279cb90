//! One login at a registry, and the calls that need it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use longshore_azure::choose_cryptography;
use oci_client::RegistryOperation;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;

use super::access::Access;
use super::address::Address;
use super::error::RegistryError;

/// How long a connection may take to be made.
const MAX_CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may be silent.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// A registry that has accepted who asks.
pub(super) struct Session<'a> {
    pub(super) client: Client,
    pub(super) auth: RegistryAuth,
    address: &'a Address,
    who: &'static str,
}

impl<'a> Session<'a> {
    /// Logs in for reading, or for writing. The calls that follow would try it themselves, and not
    /// say why it failed.
    pub(super) async fn begin(
        address: &'a Address,
        access: &Access,
        operation: RegistryOperation,
    ) -> Result<Self, RegistryError> {
        let (auth, who) = access.login.credentials(address).await?;
        let session = Self { client: client(address)?, auth, address, who };
        let entered = session.client.auth(&address.0, &session.auth, operation).await;
        entered.map_err(|error| session.error(&error))?;
        Ok(session)
    }

    pub(super) fn error(&self, error: &oci_client::errors::OciDistributionError) -> RegistryError {
        RegistryError::of(self.address, error, self.who)
    }

    /// Fetches what a manifest describes, and no more bytes than it says.
    pub(super) async fn blob(&self, blob: &OciDescriptor) -> Result<Bytes, RegistryError> {
        let expected = usize::try_from(blob.size).unwrap_or_default();
        let pulled = self.client.pull_blob_stream(&self.address.0, blob).await;
        let mut stream = pulled.map_err(|error| self.error(&error))?.stream;
        let mut bytes = Vec::with_capacity(expected);
        while let Some(chunk) =
            stream.try_next().await.map_err(|error| RegistryError::of_stream(self.address, &error))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > expected {
                let cause = format!("it is longer than the {expected} bytes of its manifest");
                return Err(RegistryError::Damaged { cause });
            }
        }
        Ok(bytes.into())
    }
}

fn client(address: &Address) -> Result<Client, RegistryError> {
    let config = ClientConfig {
        protocol: if address.is_local() { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(MAX_CONNECT),
        read_timeout: Some(MAX_SILENCE),
        user_agent: concat!("longshore/", env!("CARGO_PKG_VERSION")),
        // An index of images for several platforms holds no component.
        platform_resolver: None,
        // Naming a proxy is the only way to have none. The variables of the environment are read
        // otherwise.
        https_proxy: address.is_local().then(|| "http://localhost".to_owned()),
        ..ClientConfig::default()
    };
    choose_cryptography();
    Client::try_from(config).map_err(|error| RegistryError::of(address, &error, "no credentials"))
}
