//! Compiling and linking a component: everything that can be known before the first message.

use std::sync::Arc;

use wasmtime::Engine;

use super::Sandbox;
use super::contract::{self, Linked};
use super::describe::{HANDLER, Outline, describe};
use super::engine::Shared;
use super::grants::Grants;
use super::invoke::Idle;
use super::limits::{self, Limits};
use super::precompiled;

/// A handler, compiled and linked: [`invoke`](Component::invoke) hands it a message.
///
/// Cheap to clone, and independent of the [`Sandbox`] that it was loaded by.
#[derive(Clone)]
pub struct Component {
    pub(super) guest: Linked,
    pub(super) shared: Arc<Shared>,
    pub(super) idle: Idle,
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
    /// It needs what was not granted to it.
    #[error("needs {}; grant it, or build the component without it", ungranted(.needs))]
    NotGranted {
        /// The imports, each with the flag that grants it.
        needs: Vec<(String, &'static str)>,
    },
    /// The names are right, and what is behind one of them has another shape.
    #[error("does not fit this host: {cause}; build it against the host's own wit/ directory")]
    Mismatch {
        /// What does not fit.
        cause: String,
    },
    /// It would have to be compiled, and this host was built without a compiler.
    #[error(
        "it is not compiled, and this host has no compiler; run `longshore compile` where there is one, and name the result with --precompiled"
    )]
    NoCompiler,
    /// It was compiled ahead of time, and that cannot be used: the component itself can.
    #[error("what it was compiled to cannot be used: {cause}")]
    Precompiled {
        /// Why not.
        cause: String,
    },
    /// This host cannot compile for that target.
    #[error(
        "cannot compile for that target: {cause}; without --target it is compiled for this machine, and a host built with `--features all-targets` compiles for other architectures"
    )]
    Target {
        /// What the compiler said.
        cause: String,
    },
    /// No instance of it can ever be made within the limits.
    #[error("too big: {cause}; allow it more memory, or split it")]
    TooBig {
        /// The limit, and what the component needs.
        cause: String,
    },
}

fn ungranted(needs: &[(String, &str)]) -> String {
    let needs: Vec<_> =
        needs.iter().map(|(import, flag)| format!("{import}, which only {flag} grants")).collect();
    needs.join(", and ")
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
        let Outline { imports, exports } = Outline::read(bytes)?;
        self.admits(&imports, &exports)?;
        let Shared { engine, precompiled, .. } = &*self.shared;
        let trusted = precompiled.as_deref().and_then(|file| {
            let loaded = precompiled::load(engine, file, bytes);
            let unusable = |cause: &_| tracing::warn!(file = %file.display(), %cause, "the precompiled component is not used: compiling");
            loaded.inspect_err(unusable).ok()
        });
        let component = match trusted {
            Some(component) => component,
            None => compiled(engine, bytes)?,
        };
        self.link(&component, &exports, || missing_imports(bytes))
    }

    /// Whether a component with these imports and exports is a handler, and is granted what it needs.
    pub(super) fn admits(&self, imports: &[String], exports: &[String]) -> Result<(), LoadError> {
        if !contract::is_handler(exports) {
            return Err(LoadError::OtherWorld { exports: exports.to_owned() });
        }
        let needs = |import: &String| {
            let grant = self.shared.grants.of(import).filter(|grant| grant.needed && !grant.granted)?;
            Some((import.clone(), grant.flag))
        };
        let needs: Vec<_> = imports.iter().filter_map(needs).collect();
        if needs.is_empty() { Ok(()) } else { Err(LoadError::NotGranted { needs }) }
    }

    /// Links a component with what the host offers; if that fails, `missing` says what it does not.
    pub(super) fn link(
        &self,
        component: &wasmtime::component::Component,
        exports: &[String],
        missing: impl FnOnce() -> Vec<String>,
    ) -> Result<Component, LoadError> {
        let Shared { linker, limits, .. } = &*self.shared;
        fits(component, limits)?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch { cause: format!("{error:#}") };
        let linked = linker.0.instantiate_pre(component).map_err(|error| match missing() {
            imports if imports.is_empty() => mismatch(error),
            imports => LoadError::MissingImport { imports },
        })?;
        let guest = Linked::new(linked, exports).map_err(mismatch)?;
        // The first instance would have to do it otherwise, under its message's deadline.
        component.initialize_copy_on_write_image().map_err(mismatch)?;
        Ok(Component { guest, shared: Arc::clone(&self.shared), idle: Idle::default() })
    }
}

#[cfg(feature = "compiler")]
fn compiled(engine: &Engine, bytes: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
    wasmtime::component::Component::new(engine, bytes).map_err(|error| explain(&error, bytes))
}

#[cfg(not(feature = "compiler"))]
fn compiled(_: &Engine, _: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
    Err(LoadError::NoCompiler)
}

/// The engine has one type for all its errors: if the bytes are valid, it was their size.
#[cfg(feature = "compiler")]
fn explain(error: &wasmtime::Error, bytes: &[u8]) -> LoadError {
    let cause = format!("{error:#}");
    match wasmparser::Validator::new().validate_all(bytes) {
        Ok(_) => LoadError::TooBig { cause },
        Err(_) => LoadError::Damaged { cause },
    }
}

/// Which processors compiled code runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Cpu {
    /// Any of the target's.
    #[default]
    Baseline,
    /// Those that have what this machine's has.
    Native,
}

/// The system that this host runs on, as compilers name it.
pub fn own_target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Compiles a component ahead of time, for a target (`x86_64-unknown-linux-gnu`; `None`: this machine's) and its
/// processors. The result is for [`Settings::precompiled`](super::Settings::precompiled).
///
/// # Errors
/// When the bytes are no component, the target is none that this host can compile for, or this host has no compiler.
pub fn compile(bytes: &[u8], target: Option<&str>, cpu: Cpu) -> Result<Vec<u8>, LoadError> {
    Outline::read(bytes)?;
    #[cfg(feature = "compiler")]
    {
        let mut config = super::engine::config(&Limits::default());
        let refused = |error: wasmtime::Error| LoadError::Target { cause: format!("{error:#}") };
        if target.is_some() || cpu == Cpu::Baseline {
            // A target that is named has no more than its baseline, even if it is this machine's.
            config.target(target.unwrap_or(&own_target())).map_err(refused)?;
        }
        let engine = Engine::new(&config).map_err(refused)?;
        let made = engine.precompile_component(bytes).map_err(|error| explain(&error, bytes))?;
        Ok(precompiled::write(bytes, &made))
    }
    #[cfg(not(feature = "compiler"))]
    {
        let _ = (target, cpu);
        Err(LoadError::NoCompiler)
    }
}

/// The linker stops at the first; people want to know all.
fn missing_imports(bytes: &[u8]) -> Vec<String> {
    let imports =
        describe(bytes, &Grants::default()).map_or_else(|_| Vec::new(), |description| description.imports);
    imports.into_iter().filter(|import| !import.offered).map(|import| import.name).collect()
}

/// Limits that only show when an instance is made, which would be too late.
fn fits(component: &wasmtime::component::Component, limits: &Limits) -> Result<(), LoadError> {
    let Some(needs) = component.resources_required() else { return Ok(()) };
    let too_big = |cause| Err(LoadError::TooBig { cause });
    let Limits { memory, table_elements, .. } = *limits;
    if let Some(bytes) = needs.max_initial_memory_size.filter(|bytes| *bytes > memory as u64) {
        return too_big(format!("it starts with {bytes} bytes of memory and may have {memory}"));
    }
    if let Some(elements) = needs.max_initial_table_size.filter(|elements| *elements > table_elements as u64)
    {
        return too_big(format!("it has a table of {elements} elements, and {table_elements} fit"));
    }
    if needs.num_memories > limits::MEMORIES {
        return too_big(format!("it has {} memories, and {} fit", needs.num_memories, limits::MEMORIES));
    }
    if needs.num_tables > limits::TABLES {
        return too_big(format!("it has {} tables, and {} fit", needs.num_tables, limits::TABLES));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::{HANDLER, LoadError, Sandbox};

    fn load_error(bytes: impl AsRef<[u8]>) -> LoadError {
        let cache = tempfile::tempdir().unwrap();
        let settings = Settings { cache: Some(cache.path().into()), ..Settings::default() };
        Sandbox::new(&settings).unwrap().load(bytes.as_ref()).map(|_| ()).unwrap_err()
    }

    fn wat(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn what_is_no_component_is_refused_with_the_cause() {
        for (bytes, words) in [
            (&b""[..], "the file is empty"),
            (b"(component)", "WebAssembly as text"),
            (b"\x1f\x8b\x08", "compressed"),
            (b"#!/bin/sh", "does not start with"),
        ] {
            let error = load_error(bytes);
            assert!(
                matches!(error, LoadError::NotWasm { .. }) && error.to_string().contains(words),
                "{error}"
            );
        }
        assert_eq!(load_error(wat("(module)")), LoadError::CoreModule);
        assert_eq!(load_error(b"\0asm\x01\0\0\0"), LoadError::CoreModule);
    }

    #[test]
    fn another_world_is_named_with_what_it_exports() {
        let export =
            |name: &str| wat(&format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#));
        for (bytes, words) in [
            (wat("(component)"), "exports no longshore:handler/handler@0.1.0, nor anything else".to_owned()),
            (export("wasi:cli/run@0.2.0"), format!("exports no {HANDLER}, but wasi:cli/run@0.2.0")),
            (
                export("longshore:handler/handler@2.0.0"),
                format!("exports longshore:handler/handler@2.0.0, and this host calls {HANDLER}"),
            ),
        ] {
            let error = load_error(bytes);
            assert!(
                matches!(error, LoadError::OtherWorld { .. }) && error.to_string().contains(&words),
                "{error}"
            );
        }
        assert!(
            matches!(load_error(export(HANDLER)), LoadError::Mismatch { .. }),
            "{}",
            load_error(export(HANDLER))
        );
    }

    #[test]
    fn an_import_that_nobody_offers_is_refused_by_name_and_one_that_needs_nothing_is_not() {
        let with = |imports: &str| {
            wat(&format!(r#"(component {imports} (instance $i) (export "{HANDLER}" (instance $i)))"#))
        };
        let error = load_error(with(
            r#"(import "acme:db/store@1.0.0" (instance (export "get" (func))))
               (import "acme:db/types@1.0.0" (instance))
               (import "wasi:nn/graph@0.2.0" (instance (export "graph" (type (sub resource)))))"#,
        ));
        assert!(
            error.to_string().starts_with("needs acme:db/store@1.0.0 and wasi:nn/graph@0.2.0, which"),
            "{error}"
        );
        // Types alone link; what this one lacks is the handler's function.
        let error = load_error(with(r#"(import "acme:db/types@1.0.0" (instance))"#));
        assert!(matches!(error, LoadError::Mismatch { .. }), "{error}");
    }

    #[test]
    fn what_is_needed_and_not_granted_is_named_with_its_flag() {
        let text = format!(
            r#"(component (import "longshore:handler/outbox@0.1.0" (instance)) (import "wasi:config/store@0.2.0-rc.1" (instance))
               (import "wasi:cli/environment@0.2.0" (instance)) (instance $i) (export "{HANDLER}" (instance $i)))"#
        );
        assert_eq!(
            load_error(wat(&text)).to_string(),
            "needs longshore:handler/outbox@0.1.0, which only --output NAME=QUEUE-URL grants, and wasi:config/store@0.2.0-rc.1, which only --config KEY=VALUE grants; grant it, or build the component without it"
        );
    }

    #[test]
    fn what_never_fits_is_refused_at_load() {
        let handler = format!(r#"(instance $i) (export "{HANDLER}" (instance $i))"#);
        let memories = |pages: u32, count: usize| {
            let module = format!("(core module $m (memory {pages}))");
            wat(&format!(
                "(component {module} {} {handler})",
                "(core instance (instantiate $m))".repeat(count)
            ))
        };
        for bytes in [
            memories(3000, 1),
            memories(1, 5),
            memories(1, 200),
            wat(&format!(
                "(component (core module $m (table 30000 funcref)) (core instance (instantiate $m)) {handler})"
            )),
        ] {
            let error = load_error(bytes);
            assert!(matches!(error, LoadError::TooBig { .. }), "{error:?}");
        }
    }
}
