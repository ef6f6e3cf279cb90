//! What a component imports and exports, read from its bytes without compiling it.

use serde::Serialize;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::Types;
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::census;
use crate::digest::digest;
use crate::error::{LoadError, damaged};
use crate::grants::{Grant, Grants};
use crate::limits::Limits;
use crate::names::{self, HANDLER, WASMCLOUD};

/// A component, as far as it can be seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The digest of its bytes: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Its size, in bytes.
    pub size: usize,
    /// Whether it can be a handler: it exports `longshore:handler/handler@0.1.0` or
    /// `wasmcloud:messaging/handler@0.2.0`.
    pub handler: bool,
    /// What it imports, in its own order.
    pub imports: Vec<Import>,
    /// The names of what it exports, in its own order.
    pub exports: Vec<String>,
}

impl Description {
    /// The world that it was built for, and its version; both are empty if it is no handler. A
    /// component keeps the names of what it exports, and not the name of its world. Each export
    /// belongs to one world.
    pub fn world(&self) -> (String, String) {
        let exports = |interface: &&str| self.exports.iter().any(|name| name == interface);
        let worlds =
            [(HANDLER, "longshore:handler/guest"), (WASMCLOUD, "wasmcloud:messaging/message-handler")];
        let found = worlds.into_iter().find(|(interface, _)| exports(interface));
        let (interface, world) = found.unwrap_or_default();
        let version = interface.split_once('@').map_or("", |(_, version)| version);
        (world.to_owned(), version.to_owned())
    }
}

/// One import of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// Its full name: `wasi:clocks/monotonic-clock@0.2.6`.
    pub name: String,
    /// Whether the host offers it. Sockets are not, and yet a component that imports them can be
    /// loaded: see [`refused`](Import::refused).
    pub offered: bool,
    /// Whether each use of it is refused: runtimes of other languages import sockets unused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// What has to be granted for it, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
}

/// Describes a component, and what it lacks of certain grants.
///
/// # Errors
/// When the bytes are not a component at all: [`LoadError::NotWasm`], [`LoadError::CoreModule`] or
/// [`LoadError::Damaged`]. One that cannot be a handler is described like any other.
pub fn describe(bytes: &[u8], grants: &Grants) -> Result<Description, LoadError> {
    let Outline { imports, exports } = Outline::read(bytes, None)?;
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).map_err(damaged)?;
    let import = |name: String| {
        let refused = names::is_refused(&name);
        let offered = !refused && (names::is_linked(&name) || !needs_anything(&types, &name));
        let grant = grants.of(&name);
        Import { name, offered, refused, grant }
    };
    Ok(Description {
        digest: digest(bytes),
        size: bytes.len(),
        handler: names::is_handler(&exports),
        imports: imports.into_iter().map(import).collect(),
        exports,
    })
}

/// Whether an import has to be offered. An interface that holds only the names of types has not.
fn needs_anything(types: &Types, import: &str) -> bool {
    let types = types.as_ref();
    match types.component_item_for_import(import).map(|item| item.ty) {
        Some(ComponentEntityType::Instance(instance)) => types[instance].exports.values().any(
            |export| !matches!(export.ty, ComponentEntityType::Type { created, .. } if !is_resource(created)),
        ),
        _ => true,
    }
}

fn is_resource(id: ComponentAnyTypeId) -> bool {
    matches!(id, ComponentAnyTypeId::Resource(_))
}

/// The names of the imports and exports of the outermost component.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

impl Outline {
    /// Reads them, once it is known that the component is not larger than it may be: see
    /// [`census::check`].
    pub(crate) fn read(bytes: &[u8], limits: Option<&Limits>) -> Result<Self, LoadError> {
        recognise(bytes)?;
        census::check(bytes, limits)?;
        let mut outline = Self::default();
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
                        // A named type is there for the functions that use it: nothing has to be
                        // offered for it.
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            outline.imports.push(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        outline.exports.push(export.map_err(damaged)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }
}

/// Whether this is WebAssembly. If not, the error says what it is, where the first bytes tell.
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

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::{Outline, describe};
    use crate::digest::digest;
    use crate::error::LoadError;
    use crate::grants::Grants;
    use crate::names::{HANDLER, WASMCLOUD};

    fn wat(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    fn exporting(name: &str) -> Vec<u8> {
        wat(&format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#))
    }

    #[test]
    fn a_component_is_described_by_its_bytes_and_what_it_exports() {
        for (name, handler, world) in [
            (HANDLER, true, ("longshore:handler/guest", "0.1.0")),
            (WASMCLOUD, true, ("wasmcloud:messaging/message-handler", "0.2.0")),
            ("acme:db/store@1.0.0", false, ("", "")),
        ] {
            let bytes = exporting(name);
            let description = describe(&bytes, &Grants::default()).unwrap();
            assert_eq!(description.digest, digest(&bytes));
            assert_eq!(description.size, bytes.len());
            assert_eq!((description.handler, description.exports.as_slice()), (handler, &[name.into()][..]));
            assert_eq!(description.world(), (world.0.to_owned(), world.1.to_owned()));
            assert_eq!(description.imports, []);
        }
    }

    #[test]
    fn an_import_is_shown_with_whether_it_is_offered_and_what_it_needs() {
        let bytes = wat(r#"(component
                (import "acme:db/store@1.0.0" (instance (export "get" (func))))
                (import "acme:db/types@1.0.0" (instance (type $t u32) (export "row" (type (eq $t)))))
                (import "acme:db/rows@1.0.0" (instance (export "row" (type (sub resource)))))
                (import "acme:db/mixed@1.0.0" (instance (type $t u32) (export "row" (type (eq $t))) (export "get" (func))))
                (import "plain" (func))
                (import "wasi:cli/exit@0.2.0" (instance (export "exit" (func))))
                (import "longshore:handler/outbox@0.1.0" (instance))
                (import "wasi:sockets/network@0.2.3" (instance)))"#);
        let shown = describe(&bytes, &Grants::default()).unwrap().imports;
        let offered: Vec<_> = shown.iter().map(|import| (import.name.as_str(), import.offered)).collect();
        let expected = [
            ("acme:db/store@1.0.0", false),
            ("acme:db/types@1.0.0", true),
            ("acme:db/rows@1.0.0", false),
            ("acme:db/mixed@1.0.0", false),
            ("plain", false),
            ("wasi:cli/exit@0.2.0", true),
            ("longshore:handler/outbox@0.1.0", true),
            ("wasi:sockets/network@0.2.3", false),
        ];
        assert_eq!(offered, expected);
        let refused: Vec<_> = shown.iter().filter(|import| import.refused).collect();
        assert!(matches!(refused[..], [import] if import.name.starts_with("wasi:sockets")), "{refused:?}");
        let granted: Vec<_> = shown.iter().filter_map(|import| import.grant.as_ref()).collect();
        assert!(matches!(granted[..], [grant] if grant.flag.starts_with("--outbox") && !grant.granted));
    }

    #[test]
    fn only_the_outermost_component_s_names_count() {
        let bytes = wat(r#"(component
                (core module (func (export "inner")))
                (component (import "inner" (func)) (component (import "innermost" (func))))
                (component (component) (instance $i) (export "inner:pkg/thing@1.0.0" (instance $i)))
                (import "outer" (func))
                (type $named u32)
                (import "named" (type (eq $named)))
                (instance $i) (export "acme:db/store@1.0.0" (instance $i)))"#);
        let Outline { imports, exports } = Outline::read(&bytes, None).unwrap();
        assert_eq!((imports, exports), (vec!["outer".to_owned()], vec!["acme:db/store@1.0.0".to_owned()]));
    }

    #[test]
    fn what_is_no_component_is_named_by_its_first_bytes() {
        for (bytes, expected) in [
            (&b""[..], "the file is empty"),
            (b"\x7fELF\x02", "it is a native binary, or compiled ahead of time (.cwasm)"),
            (b"\x1f\x8b\x08", "it is compressed by gzip"),
            (b"PK\x03\x04", "it is a zip archive"),
            (b"(component)", "it is WebAssembly as text"),
            (b"#!/bin/sh", "it does not start with the bytes `\\0asm`"),
        ] {
            assert_eq!(Outline::read(bytes, None).unwrap_err(), LoadError::NotWasm { found: expected });
        }
        assert_eq!(Outline::read(&wat("(module)"), None).unwrap_err(), LoadError::CoreModule);
        let whole = exporting(HANDLER);
        let cut = Outline::read(&whole[..whole.len() - 1], None).unwrap_err();
        assert!(matches!(cut, LoadError::Damaged { .. }), "{cut:?}");
    }
}
