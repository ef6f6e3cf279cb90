//! A component as an artifact: its manifest and configuration ([Wasm OCI artifact
//! layout](https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/)).

use std::collections::BTreeMap;

use longshore_sandbox::Description;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use serde::Serialize;

use super::error::RegistryError;

/// The media type of a component's configuration.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of a component.
pub(super) const WASM: &str = "application/wasm";
/// The media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of a component that was compiled ahead of time, by
/// [`compile`](longshore_sandbox::compile).
pub(super) const PRECOMPILED: &str = "application/vnd.longshore.precompiled.v1";
/// The annotation of such a layer that names the system it was compiled for.
pub(super) const TARGET: &str = "longshore.target";

/// The annotation that names the world which a component was built for.
pub const WORLD: &str = "longshore.world";
/// The annotation with that world's version.
pub const WORLD_VERSION: &str = "longshore.world.version";

/// The largest layer that is fetched, in bytes: a registry must not fill the host's memory.
const MAX_LAYER: i64 = 512 << 20;

/// What `longshore.config` says of a component, in the words of the layout.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactConfig<'a> {
    pub(super) created: String,
    pub(super) architecture: &'static str,
    pub(super) os: &'static str,
    pub(super) layer_digests: Vec<String>,
    pub(super) component: World<'a>,
}

/// What a component imports and exports.
#[derive(Debug, Serialize)]
pub(super) struct World<'a> {
    exports: &'a [String],
    imports: Vec<&'a str>,
    target: &'a str,
}

impl<'a> World<'a> {
    pub(super) fn of(description: &'a Description, target: &'a str) -> Self {
        let imports = description.imports.iter().map(|import| import.name.as_str()).collect();
        Self { exports: &description.exports, imports, target }
    }
}

/// What a registry says of an artifact.
#[derive(Clone, Debug, Serialize)]
pub struct Details {
    /// The digest of its manifest.
    pub manifest: String,
    /// What was written beside it.
    pub annotations: BTreeMap<String, String>,
    /// The systems that it was compiled for.
    pub precompiled: Vec<String>,
}

/// A manifest that was understood.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) component: OciDescriptor,
    /// What it was compiled to, by the system.
    pub(super) precompiled: BTreeMap<String, OciDescriptor>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest, if it describes a component.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, RegistryError> {
        let other = |what: String| RegistryError::NoComponent { what };
        let manifest: OciImageManifest = serde_json::from_slice(bytes)
            .map_err(|error| other(format!("its manifest is not that of one artifact ({error})")))?;
        let layers = manifest.layers;
        let Some(component) = layers.iter().find(|layer| layer.media_type == WASM) else {
            let types: Vec<_> = layers.iter().map(|layer| layer.media_type.as_str()).collect();
            return Err(other(match types.as_slice() {
                [] => format!("it has no layers, and its configuration is {}", manifest.config.media_type),
                types => format!("its layers are {}, and none is {WASM}", types.join(", ")),
            }));
        };
        let precompiled = layers.iter().filter(|layer| layer.media_type == PRECOMPILED);
        let precompiled = precompiled
            .filter_map(|layer| Some((layer.annotations.as_ref()?.get(TARGET)?.clone(), layer.clone())))
            .collect();
        for layer in &layers {
            if !(0..=MAX_LAYER).contains(&layer.size) {
                return Err(other(format!("it is {} bytes long, and {MAX_LAYER} are allowed", layer.size)));
            }
        }
        if !component.digest.starts_with("sha256:") {
            return Err(other(format!("its digest is {}, and not a sha256", component.digest)));
        }
        let annotations = manifest.annotations.unwrap_or_default();
        Ok(Self { component: component.clone(), precompiled, annotations })
    }
}
