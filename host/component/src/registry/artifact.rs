//! A component as an artifact: its manifest and configuration ([Wasm OCI artifact
//! layout](https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/)).

use std::collections::BTreeMap;

use longshore_sandbox::{Description, MAX_COMPONENT, digits};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::address::Address;
use super::error::RegistryError;

/// The media type of a component's configuration.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of a component.
pub(super) const WASM: &str = "application/wasm";
/// The media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What is asked for where a manifest is wanted. Indexes are asked for as well, so that one is
/// named as such, and not as something that does not exist.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// How many artifacts of an index are named, and how long their list may be, in characters.
const NAMED: (usize, usize) = (5, 800);

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
pub(super) const MAX_LAYER: i64 = 512 << 20;

/// How much is said of what is no component, in characters: a manifest may be large.
const MAX_WHAT: usize = 400;

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

/// The error for a manifest that is an index; `None` if it is none ([image
/// index](https://github.com/opencontainers/image-spec/blob/main/image-index.md)).
pub(super) fn index(address: &Address, bytes: &[u8]) -> Option<RegistryError> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Value>,
    }
    let Index { manifests } = serde_json::from_slice(bytes).ok()?;
    let named = |it: &Value| {
        let digest = it["digest"].as_str().filter(|digest| digits(digest).is_some())?;
        let platform = &it["platform"];
        let system = [&platform["os"], &platform["architecture"]];
        let system: Vec<&str> = system.into_iter().filter_map(Value::as_str).collect();
        let of = if system.is_empty() { String::new() } else { format!(" ({})", system.join("/")) };
        Some(format!("{}{of}", address.at(digest)))
    };
    let (most, length) = NAMED;
    let mut names: Vec<String> = manifests.iter().filter_map(named).take(most).collect();
    if manifests.len() > names.len() {
        names.push("…".into());
    }
    let names = names.join(", ").chars().take(length).collect();
    Some(RegistryError::Index { address: address.to_string(), count: manifests.len(), names })
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
        let other = |what: String| RegistryError::NoComponent { what: what.chars().take(MAX_WHAT).collect() };
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
            // No component is loaded that is larger, so that none is fetched.
            let most = if layer.media_type == WASM { MAX_COMPONENT as i64 } else { MAX_LAYER };
            if !(0..=most).contains(&layer.size) {
                return Err(other(format!("it is {} bytes long, and {most} are allowed", layer.size)));
            }
        }
        if digits(&component.digest).is_none() {
            return Err(other(format!("its digest is {}, and not a sha256", component.digest)));
        }
        let annotations = manifest.annotations.unwrap_or_default();
        Ok(Self { component: component.clone(), precompiled, annotations })
    }
}

#[cfg(test)]
mod fuzz;
