//! Compiling and linking a component: everything that can be known before the first message.

use std::sync::Arc;

use super::Sandbox;
use super::bindings::GuestPre;
use super::describe::{HANDLER, Import, sections};
use super::engine::Shared;
use super::invoke::State;
use super::limits;

/// A handler, compiled and linked: [`invoke`](Component::invoke) hands it a message.
///
/// Cheap to clone, and independent of the [`Sandbox`] that it was loaded by.
#[derive(Clone)]
pub struct Component {
    pub(super) guest: GuestPre<State>,
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Component(…)")
    }
}

/// Why bytes cannot be a handler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not WebAssembly.
    #[error(
        "not a WebAssembly component: {found}; build one with `cargo build --release --target wasm32-wasip2`"
    )]
    NotWasm {
        /// What it is instead, as far as its first bytes tell.
        found: &'static str,
    },
    /// WebAssembly, but a core module and not a component.
    #[error(
        "a core module and not a component; build it with `--target wasm32-wasip2`, or make a component of it with `wasm-tools component new`"
    )]
    CoreModule,
    /// It starts like a component, and is damaged, cut short, or uses what the engine does not know.
    #[error("damaged, or not a component that this host understands: {cause}; build or fetch it again")]
    Damaged {
        /// What was found, and where.
        cause: String,
    },
    /// It does not export the handler.
    #[error("{}; build it for the world longshore:handler/guest@0.1.0 (wit/handler.wit)", missing(.exports))]
    OtherWorld {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// It needs what no host of this version offers.
    #[error("needs {}, which this host does not offer; `longshore inspect` lists what it imports", .imports.join(" and "))]
    MissingImport {
        /// The imports that nobody offers.
        imports: Vec<String>,
    },
    /// The names are right, and what is behind one of them has another shape.
    #[error("does not fit this host: {cause}; build it against the host's own wit/ directory")]
    Mismatch {
        /// What does not fit.
        cause: String,
    },
    /// No instance of it can ever be made within the limits.
    #[error("too big: {cause}; allow it more memory, or split it")]
    TooBig {
        /// The limit, and what the component needs.
        cause: String,
    },
}

fn missing(exports: &[String]) -> String {
    let interface = HANDLER.split_once('@').map_or(HANDLER, |(interface, _)| interface);
    let other = exports.iter().find(|name| {
        name.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
    });
    match (other, exports) {
        (Some(other), _) => format!("exports {other}, and this host calls {HANDLER}"),
        (None, []) => format!("exports no {HANDLER}, nor anything else"),
        (None, exports) => format!("exports no {HANDLER}, but {}", exports.join(", ")),
    }
}

impl Sandbox {
    /// Compiles and links a component. Takes up to seconds where the compile cache does not know it: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// When the bytes cannot be a handler here, and why: see [`LoadError`].
    pub fn load(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        let mut imports = Vec::new();
        let mut exports = Vec::new();
        sections(bytes, &mut imports, &mut exports)?;
        if !exports.iter().any(|name| name == HANDLER) {
            return Err(LoadError::OtherWorld { exports });
        }
        if imports.iter().any(|import| !import.offered) {
            let missing = imports.into_iter().filter(|import| !import.offered);
            return Err(LoadError::MissingImport {
                imports: missing.map(|Import { name, .. }| name).collect(),
            });
        }

        let Shared { engine, linker, memory, .. } = &*self.shared;
        let component = wasmtime::component::Component::new(engine, bytes).map_err(|error| {
            let cause = format!("{error:#}");
            // The engine has one type for all its errors; only what its parser says is about the bytes.
            match error.downcast_ref::<wasmparser::BinaryReaderError>() {
                Some(_) => LoadError::Damaged { cause },
                None => LoadError::TooBig { cause },
            }
        })?;
        fits(&component, *memory)?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch { cause: format!("{error:#}") };
        let guest = linker.0.instantiate_pre(&component).and_then(GuestPre::new).map_err(mismatch)?;
        // The first instance would have to do it otherwise, under its message's deadline.
        component.initialize_copy_on_write_image().map_err(mismatch)?;
        Ok(Component { guest, shared: Arc::clone(&self.shared) })
    }
}

/// Limits that only show when an instance is made, which would be too late.
fn fits(component: &wasmtime::component::Component, memory: usize) -> Result<(), LoadError> {
    let Some(needs) = component.resources_required() else { return Ok(()) };
    let too_big = |cause| Err(LoadError::TooBig { cause });
    if let Some(bytes) = needs.max_initial_memory_size.filter(|bytes| *bytes > memory as u64) {
        return too_big(format!("it starts with {bytes} bytes of memory and may have {memory}"));
    }
    if let Some(elements) =
        needs.max_initial_table_size.filter(|elements| *elements > limits::TABLE_ELEMENTS as u64)
    {
        return too_big(format!("it has a table of {elements} elements, and {} fit", limits::TABLE_ELEMENTS));
    }
    if needs.num_memories > limits::MEMORIES {
        return too_big(format!("it has {} memories, and {} fit", needs.num_memories, limits::MEMORIES));
    }
    if needs.num_tables > limits::TABLES {
        return too_big(format!("it has {} tables, and {} fit", needs.num_tables, limits::TABLES));
    }
    Ok(())
}
