//! Pulling: a tag is resolved once. All executions that share a cache fetch a digest once.

use std::time::Duration;

use bytes::Bytes;
use longshore_sandbox::MachineCode;
use oci_client::manifest::OciDescriptor;

use super::access::Access;
use super::address::Address;
use super::artifact::{Details, Manifest, index};
use super::cache::Cache;
use super::error::RegistryError;
use super::session::{Purpose, Session};
use crate::fetched::{Fetched, Obtained};

/// The pauses between tries, where the registry may answer in a moment.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];

impl Access {
    /// Fetches a component: from the cache if its digest is there, else from the registry, in
    /// several tries.
    ///
    /// # Errors
    /// There is none, or it cannot be had now: see [`RegistryError`].
    pub(crate) async fn pull(&self, address: &Address) -> Result<Fetched, RegistryError> {
        let mut pull = Pull::new(self, address);
        let (manifest, digest) = pull.manifest().await?;
        let bytes = pull.blob(&manifest.component).await?;
        Ok(Fetched { bytes, digest })
    }

    /// Fetches what the component was compiled to for this system, if the operator vouches for it:
    /// its digest stands in the manifest, and the manifest's digest in the address. In any other
    /// case, and if anything goes wrong with it, fetches the component.
    ///
    /// # Errors
    /// As for the component.
    pub(crate) async fn obtain(&self, address: &Address) -> Result<(Obtained, String), RegistryError> {
        let mut pull = Pull::new(self, address);
        let (manifest, digest) = pull.manifest().await?;
        if let Some(layer) = manifest.precompiled.get(&longshore_sandbox::own_target()) {
            let found = if address.digest().is_some() || self.trust_tag {
                pull.unpacked(layer, &manifest.component.digest).await
            } else {
                Err("a tag names it; name the digest, or set --trust-tag".to_owned())
            };
            match found {
                Ok(code) => return Ok((Obtained::MachineCode(code), digest)),
                Err(cause) => {
                    tracing::warn!(component = %address, cause, "the precompiled component is not used: compiling");
                }
            }
        }
        let bytes = pull.blob(&manifest.component).await?;
        Ok((Obtained::Component(bytes), digest))
    }

    /// What the registry says of an artifact.
    ///
    /// # Errors
    /// As for the component itself.
    pub async fn details(&self, address: &Address) -> Result<Details, RegistryError> {
        let (manifest, digest) = Pull::new(self, address).manifest().await?;
        let precompiled = manifest.precompiled.into_keys().collect();
        Ok(Details { manifest: digest, annotations: manifest.annotations, precompiled })
    }
}

/// One artifact being fetched.
struct Pull<'a> {
    access: &'a Access,
    address: &'a Address,
    cache: Cache,
    /// Opened when something is not in the cache, and anew after a failure.
    session: Option<Session<'a>>,
}

impl<'a> Pull<'a> {
    fn new(access: &'a Access, address: &'a Address) -> Self {
        Self { access, address, cache: Cache::open(access.cache.as_deref()), session: None }
    }

    async fn manifest(&mut self) -> Result<(Manifest, String), RegistryError> {
        let Self { access, address, .. } = *self;
        let pinned = address.digest().or(access.resolved()).map(str::to_owned);
        if let Some(digest) = pinned.as_deref()
            && let Some(bytes) = self.cache.get(digest).await
        {
            return Ok((Manifest::read(&bytes)?, digest.to_owned()));
        }
        let pinned = pinned.map_or_else(|| address.clone(), |digest| address.at(&digest));
        let (bytes, digest) = self.fetch(What::Manifest(&pinned)).await?;
        let manifest = Manifest::read(&bytes).map_err(|error| index(address, &bytes).unwrap_or(error))?;
        self.cache.put(&digest, bytes).await;
        // Two that resolve at once: the first stands for both.
        let digest = access.resolved.get_or_init(|| {
            tracing::info!(component = %address, digest, "the component is in the registry");
            digest
        });
        Ok((manifest, digest.clone()))
    }

    /// The machine code in a layer. It is checked once, and lies in a file of its own from then on.
    async fn unpacked(&mut self, layer: &OciDescriptor, component: &str) -> Result<MachineCode, String> {
        if let Some(path) = self.cache.unpacked(&layer.digest, component).await {
            return Ok(MachineCode::File(path));
        }
        let (artifact, _) = self.fetch(What::Blob(layer)).await.map_err(|error| error.to_string())?;
        let code = longshore_sandbox::unpack(&artifact, component).map_err(|error| error.to_string())?;
        Ok(match self.cache.put_unpacked(&layer.digest, component, code.clone()).await {
            Some(path) => MachineCode::File(path),
            None => MachineCode::Bytes(code),
        })
    }

    async fn blob(&mut self, blob: &OciDescriptor) -> Result<Bytes, RegistryError> {
        if let Some(bytes) = self.cache.get(&blob.digest).await {
            return Ok(bytes);
        }
        let (bytes, digest) = self.fetch(What::Blob(blob)).await?;
        self.cache.put(&digest, bytes.clone()).await;
        Ok(bytes)
    }

    /// Fetches something, and tries again after each pause while that may help. Returns its digest
    /// beside it.
    async fn fetch(&mut self, what: What<'_>) -> Result<(Bytes, String), RegistryError> {
        let mut pauses = RETRY_PAUSES.iter();
        loop {
            let fetched = self.fetch_once(what).await;
            if fetched.is_err() {
                self.session = None;
            }
            match (fetched, pauses.next()) {
                (Err(error), Some(pause)) if error.passes() => {
                    tracing::debug!(%error, "trying again");
                    tokio::time::sleep(*pause).await;
                }
                (done, _) => return done.map_err(RegistryError::when_fetching),
            }
        }
    }

    async fn fetch_once(&mut self, what: What<'_>) -> Result<(Bytes, String), RegistryError> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::begin(self.address, self.access, Purpose::Pull).await?),
        };
        match what {
            What::Manifest(address) => session.manifest(address).await,
            What::Blob(blob) => Ok((session.blob(blob).await?, blob.digest.clone())),
        }
    }
}

/// What is fetched in one go.
#[derive(Clone, Copy, Debug)]
enum What<'a> {
    Manifest(&'a Address),
    Blob(&'a OciDescriptor),
}
