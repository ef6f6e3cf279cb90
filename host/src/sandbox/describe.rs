//! What a component imports and exports, read from its bytes without compiling it.

use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload};

use super::imports;
use super::load::LoadError;

/// The interface that a handler exports.
pub(super) const HANDLER: &str = "longshore:handler/handler@0.1.0";

/// A component, as far as it can be seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The digest of its bytes: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Its size, in bytes.
    pub size: usize,
    /// Whether it exports `longshore:handler/handler@0.1.0`, and so can be a handler.
    pub handler: bool,
    /// What it imports, in its own order.
    pub imports: Vec<Import>,
    /// The names of what it exports, in its own order.
    pub exports: Vec<String>,
}

/// One import of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// Its full name: `wasi:clocks/monotonic-clock@0.2.6`.
    pub name: String,
    /// Whether the host offers it.
    pub offered: bool,
}

/// The digest of some bytes as OCI writes it: `sha256:` and 64 hexadecimal digits
/// ([image-spec, descriptor](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests)).
pub fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    text.extend(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")));
    text
}

/// Describes a component.
///
/// # Errors
/// When the bytes are not a component at all: [`LoadError::NotWasm`], [`LoadError::CoreModule`] or
/// [`LoadError::Damaged`]. One that cannot be a handler is described like any other.
pub fn describe(bytes: &[u8]) -> Result<Description, LoadError> {
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    sections(bytes, &mut imports, &mut exports)?;
    let handler = exports.iter().any(|name| name == HANDLER);
    Ok(Description { digest: digest(bytes), size: bytes.len(), handler, imports, exports })
}

/// Reads the imports and exports of the outermost component.
pub(super) fn sections(
    bytes: &[u8],
    imports: &mut Vec<Import>,
    exports: &mut Vec<String>,
) -> Result<(), LoadError> {
    recognise(bytes)?;
    let damaged = |error: wasmparser::BinaryReaderError| LoadError::Damaged { cause: error.to_string() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(LoadError::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(damaged)?;
                    // A named type is there for the functions that use it: nothing has to be offered for it.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        let name = import.name.name.to_owned();
                        imports.push(Import { offered: imports::offered(&name), name });
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Says what a file is that is no WebAssembly, where its first bytes tell.
fn recognise(bytes: &[u8]) -> Result<(), LoadError> {
    let found = match bytes {
        [b'\0', b'a', b's', b'm', ..] => return Ok(()),
        [] => "the file is empty",
        [b'\x7f', b'E', b'L', b'F', ..] => "it is a native binary, or compiled ahead of time (.cwasm)",
        [0x1f, 0x8b, ..] => "it is compressed by gzip",
        [b'P', b'K', ..] => "it is a zip archive",
        [b'(', ..] => "it is WebAssembly as text",
        _ => "it does not start with the bytes `\\0asm`",
    };
    Err(LoadError::NotWasm { found })
}
