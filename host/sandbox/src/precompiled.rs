//! Components compiled ahead of time: how they are written, and when one is run.
//!
//! An artifact is one line of JSON ([`Header`]) and behind it what the engine made. It is machine
//! code: its author decides what the host executes. An artifact is therefore loaded only where the
//! operator names it, as a file or by the digest of an artifact in a registry. It is used only for
//! the component that it was made from, whole as it was written, and by an engine with the same
//! settings.
//!
//! This file holds the `unsafe` of the host. There is no other way to load machine code, and no
//! check could make it safe. The engine verifies its version, its settings and the processor's
//! features, and trusts the code itself.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::digest;
use crate::error::cut;
use crate::file::read_file;

/// How an artifact's first line begins.
const FORMAT: &str = "precompiled/1";

/// The largest artifact that is read, in bytes: machine code takes several times its component.
const MAX_ARTIFACT: usize = 1 << 30;

/// Bytes within which the first line ends.
const LONGEST_HEADER: usize = 1024;

/// The first line of an artifact.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// [`FORMAT`].
    longshore: String,
    /// The digest of the component that it was made from.
    component: String,
    /// The digest of what follows, so that a file that was cut short or mixed up is noticed.
    artifact: String,
}

/// Why an artifact is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no such file, or it cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is something else.
    #[error("`longshore compile` did not write it")]
    NotOurs,
    /// It belongs to another component.
    #[error("it was made from the component {made_from}")]
    OtherComponent {
        /// That component's digest.
        made_from: String,
    },
    /// It was cut short, or mixed up.
    #[error("it is damaged")]
    Damaged,
    /// It was made by another version, with other settings, or for another processor.
    #[error("this host cannot run it: {0}")]
    OtherEngine(String),
}

/// Machine code that the operator vouched for, out of the artifact that it came in.
#[derive(Clone, Debug)]
pub enum MachineCode {
    /// In a file of its own, which does not change: only what is executed of it is read.
    File(PathBuf),
    /// In memory.
    Bytes(Bytes),
}

/// The machine code in an artifact, if it is whole and made from the component with this digest.
///
/// # Errors
/// If it is not: see [`Unusable`].
pub fn unpack(artifact: &Bytes, component: &str) -> Result<Bytes, Unusable> {
    open(artifact, component).map(|made| artifact.slice_ref(made))
}

/// What an engine makes of machine code. The caller trusts the code, as an executable is trusted.
#[allow(unsafe_code, reason = "there is no other way to load machine code; see the top of this file")]
pub(crate) fn machine_code(engine: &Engine, code: &MachineCode) -> Result<Component, Unusable> {
    // SAFETY: an operator whom this host trusts with what it executes has vouched for the code: its
    // digest was compared when it was unpacked. It is in memory that nothing else changes, or in a
    // file that was written for this and appeared whole. That file's directory is trusted as the
    // directory of the host's own binary is.
    let loaded = unsafe {
        match code {
            MachineCode::File(path) => Component::deserialize_file(engine, path),
            MachineCode::Bytes(bytes) => Component::deserialize(engine, bytes),
        }
    };
    loaded.map_err(|error| Unusable::OtherEngine(cut(format!("{error:#}"))))
}

/// An artifact for what an engine made of a component.
#[cfg(feature = "compiler")]
pub(crate) fn write(component: &[u8], made: &[u8]) -> Vec<u8> {
    let header =
        Header { longshore: FORMAT.to_owned(), component: digest(component), artifact: digest(made) };
    // Three strings: nothing in it can fail to be written.
    let mut artifact = serde_json::to_vec(&header).unwrap_or_default();
    artifact.push(b'\n');
    artifact.extend_from_slice(made);
    artifact
}

/// Loads the artifact of a component from a file that the operator trusts.
#[allow(unsafe_code, reason = "there is no other way to load machine code; see the top of this file")]
pub(crate) fn load(engine: &Engine, file: &Path, component: &[u8]) -> Result<Component, Unusable> {
    let artifact = read_file(file, MAX_ARTIFACT)?;
    let made = open(&artifact, &digest(component))?;
    // SAFETY: the operator named this file to be trusted with what the host executes, as an
    // executable is trusted. The bytes are in memory that nothing else changes. They have the
    // digest that `longshore compile` wrote beside them.
    let loaded = unsafe { Component::deserialize(engine, made) };
    loaded.map_err(|error| Unusable::OtherEngine(cut(format!("{error:#}"))))
}

/// The engine's part of an artifact, if it is whole and made from the component with this digest.
fn open<'a>(artifact: &'a [u8], component: &str) -> Result<&'a [u8], Unusable> {
    let start = &artifact[..artifact.len().min(LONGEST_HEADER)];
    let end = start.iter().position(|byte| *byte == b'\n').ok_or(Unusable::NotOurs)?;
    let header: Header = serde_json::from_slice(&start[..end]).map_err(|_| Unusable::NotOurs)?;
    let made = &artifact[end + 1..];
    if header.longshore != FORMAT {
        return Err(Unusable::NotOurs);
    }
    if header.component != component {
        return Err(Unusable::OtherComponent { made_from: header.component });
    }
    if header.artifact != digest(made) {
        return Err(Unusable::Damaged);
    }
    Ok(made)
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::{Unusable, digest, open, write};

    #[test]
    fn an_artifact_is_opened_only_whole_and_for_its_component() {
        let artifact = write(b"component", b"machine code");
        assert_eq!(open(&artifact, &digest(b"component")).unwrap(), b"machine code");
        assert!(matches!(open(&artifact, &digest(b"another")), Err(Unusable::OtherComponent { .. })));
        let mut damaged = artifact.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for damaged in [&damaged[..], &artifact[..artifact.len() - 1]] {
            assert!(matches!(open(damaged, &digest(b"component")), Err(Unusable::Damaged)));
        }
        for other in [&b""[..], b"\n", b"{}\n", b"\x7fELF\x02\x01\x01\n", &artifact[..20]] {
            assert!(matches!(open(other, &digest(b"component")), Err(Unusable::NotOurs)));
        }
    }
}
