//! Pushing: a component, with what a registry should know of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use longshore_sandbox::Description;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use serde::Serialize;

use super::access::Access;
use super::address::Address;
use super::artifact::{
    ArtifactConfig, CONFIG, MANIFEST, PRECOMPILED, TARGET, WASM, WORLD, WORLD_VERSION, World,
};
use super::error::RegistryError;
use super::session::{Purpose, Session};

/// The annotation that says when an artifact was made
/// ([annotations](https://github.com/opencontainers/image-spec/blob/main/annotations.md)).
pub(super) const CREATED: &str = "org.opencontainers.image.created";

/// What was pushed.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// Where it is, by digest.
    pub address: String,
    /// The digest of its manifest.
    pub manifest: String,
    /// The digest of the component.
    pub component: String,
    /// The component's size.
    pub bytes: usize,
}

/// Pushes a component under a tag, with what it was compiled to for each system. A blob that the
/// registry has is not sent again.
///
/// # Errors
/// When the registry does not take it: see [`RegistryError`].
pub async fn push(
    address: &Address,
    access: &Access,
    component: Bytes,
    description: &Description,
    precompiled: Vec<(String, Bytes)>,
    annotations: impl IntoIterator<Item = (String, String)>,
) -> Result<Pushed, RegistryError> {
    let (world, version) = description.world();
    let (created, target) = (created(), format!("{world}@{version}"));
    let layer = described(WASM, &component);
    let mut layers = vec![layer.clone()];
    layers.extend(precompiled.iter().map(|(target, bytes)| OciDescriptor {
        annotations: Some(BTreeMap::from([(TARGET.to_owned(), target.clone())])),
        ..described(PRECOMPILED, bytes)
    }));
    let config = ArtifactConfig {
        created: created.clone(),
        architecture: "wasm",
        os: "wasip2",
        layer_digests: layers.iter().map(|layer| layer.digest.clone()).collect(),
        component: World::of(description, &target),
    };
    let config = json(&config);
    let mut all = BTreeMap::from([
        (CREATED.to_owned(), created),
        (WORLD.to_owned(), world),
        (WORLD_VERSION.to_owned(), version),
    ]);
    all.extend(annotations);
    let bytes = component.len();
    let manifest = OciImageManifest {
        media_type: Some(MANIFEST.to_owned()),
        config: described(CONFIG, &config),
        layers,
        annotations: Some(all),
        ..OciImageManifest::default()
    };
    let session = Session::begin(address, access, Purpose::Push).await?;
    let compiled = precompiled.into_iter().map(|(_, bytes)| bytes);
    let blobs = manifest.layers.iter().zip(std::iter::once(component).chain(compiled));
    for (blob, bytes) in blobs.chain([(&manifest.config, config)]) {
        session.offer(blob, bytes).await?;
    }
    let manifest = json(&manifest);
    let digest = longshore_sandbox::digest(&manifest);
    session.put(manifest).await?;
    Ok(Pushed { address: address.at(&digest).to_string(), manifest: digest, component: layer.digest, bytes })
}

fn described(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: longshore_sandbox::digest(bytes),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

/// Strings, numbers and maps of strings: nothing in them can fail to be written.
fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Now, or the time that makes a build reproducible
/// ([SOURCE_DATE_EPOCH](https://reproducible-builds.org/specs/source-date-epoch/)).
fn created() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let named = epoch.and_then(|seconds| Timestamp::from_second(seconds).ok());
    named.unwrap_or_else(Timestamp::now).to_string()
}
