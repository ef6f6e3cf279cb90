//! Linking a component, compiled or compiled here: everything that can be known before the first
//! message.

use crate::compile;
use crate::contract::Linked;
use crate::describe::{Outline, describe};
use crate::engine::{Sandbox, Shared};
use crate::error::{LoadError, cut};
use crate::grants::Grants;
use crate::invoke::Component;
use crate::limits::{self, Limits};
use crate::names;
use crate::precompiled::{self, MachineCode};
use crate::shape;

impl Sandbox {
    /// Compiles and links a component. This takes up to seconds where the compile cache does not
    /// know the component: call it where blocking is allowed.
    ///
    /// # Errors
    /// When the bytes cannot be a handler here, and why: see [`LoadError`].
    pub fn load(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        let Outline { imports, exports } = Outline::read(bytes, Some(&self.shared.policy.limits))?;
        self.admits(&imports, &exports)?;
        let Shared { engine, precompiled, .. } = &*self.shared;
        let trusted = precompiled.as_deref().and_then(|file| {
            let loaded = precompiled::load(engine, file, bytes);
            let unusable = |cause: &_| {
                tracing::warn!(file = %file.display(), %cause, "the precompiled component is not used: compiling");
            };
            loaded.inspect_err(unusable).ok()
        });
        let component = match trusted {
            Some(component) => component,
            None => compile::compiled(engine, bytes)?,
        };
        self.link(&component, &exports, || missing_imports(bytes))
    }

    /// Links a component that was compiled ahead of time, without the component itself: see
    /// [`unpack`](crate::unpack). The caller trusts it, as an executable is trusted.
    ///
    /// # Errors
    /// As for [`load`](Sandbox::load), and [`LoadError::Precompiled`] if this host cannot run it.
    /// The component has to be compiled then.
    pub fn load_machine_code(&self, code: &MachineCode) -> Result<Component, LoadError> {
        let engine = &self.shared.engine;
        let component = precompiled::machine_code(engine, code)
            .map_err(|unusable| LoadError::Precompiled { cause: unusable.to_string() })?;
        let types = component.component_type();
        let imports: Vec<_> = types.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<_> = types.exports(engine).map(|(name, _)| name.to_owned()).collect();
        self.admits(&imports, &exports)?;
        let missing = |import: &&String| !names::is_linked(import);
        self.link(&component, &exports, || imports.iter().filter(missing).cloned().collect())
    }

    /// Whether a component with these imports and exports is a handler, and is granted what it
    /// needs.
    fn admits(&self, imports: &[String], exports: &[String]) -> Result<(), LoadError> {
        if !names::is_handler(exports) {
            return Err(LoadError::OtherWorld { exports: exports.to_owned() });
        }
        let needs = |import: &String| {
            let grant =
                self.shared.policy.grants.of(import).filter(|grant| grant.needed && !grant.granted)?;
            Some((import.clone(), grant.flag))
        };
        let needs: Vec<_> = imports.iter().filter_map(needs).collect();
        if needs.is_empty() { Ok(()) } else { Err(LoadError::NotGranted { needs }) }
    }

    /// Links a component with what the host offers; if that fails, `missing` says what it does not.
    fn link(
        &self,
        component: &wasmtime::component::Component,
        exports: &[String],
        missing: impl FnOnce() -> Vec<String>,
    ) -> Result<Component, LoadError> {
        let Shared { linker, policy, .. } = &*self.shared;
        fits(component, &policy.limits)?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch { cause: cut(format!("{error:#}")) };
        let prepared = linker.0.instantiate_pre(component).map_err(|error| match missing() {
            imports if imports.is_empty() => mismatch(error),
            imports => LoadError::MissingImport { imports },
        })?;
        if let Some(cause) = shape::misfit(&self.shared.engine, &prepared, exports) {
            return Err(LoadError::Mismatch { cause: cut(cause) });
        }
        let linked = Linked::new(prepared, exports).map_err(mismatch)?;
        // The first instance would have to do it otherwise, under its message's deadline.
        component.initialize_copy_on_write_image().map_err(mismatch)?;
        Ok(Component::new(linked, &self.shared))
    }
}

/// All imports that the host does not offer. The linker stops at the first.
fn missing_imports(bytes: &[u8]) -> Vec<String> {
    let imports =
        describe(bytes, &Grants::default()).map_or_else(|_| Vec::new(), |description| description.imports);
    imports
        .into_iter()
        .filter(|import| !import.offered && !import.refused)
        .map(|import| import.name)
        .collect()
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
    use crate::engine::Sandbox;
    use crate::error::LoadError;
    use crate::names::HANDLER;
    use crate::settings::Settings;

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
    fn an_import_that_is_not_offered_is_refused_by_name_and_one_that_needs_nothing_is_not() {
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
            "needs longshore:handler/outbox@0.1.0 and wasi:config/store@0.2.0-rc.1, and nothing grants them; build the component without them, or grant them with `--outbox NAME=QUEUE-URL` and `--config KEY=VALUE`"
        );
    }

    #[test]
    fn a_handler_of_another_type_is_refused_at_load_with_its_type() {
        let takes = |parameters: &str, result: &str| {
            wat(&format!(
                r#"(component
                    (core module $m
                        (memory (export "m") 1)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                        (func (export "handle") {parameters} (result i32) (i32.const 0)))
                    (core instance $i (instantiate $m))
                    (type $t1 (tuple u8 u8 u8 u8 u8 u8 u8 u8)) (type $t2 (tuple $t1 $t1 $t1 $t1 $t1 $t1 $t1 $t1))
                    (type $t3 (tuple $t2 $t2 $t2 $t2 $t2 $t2 $t2 $t2)) (type $t4 (tuple $t3 $t3 $t3 $t3 $t3 $t3 $t3 $t3))
                    (func $handle {result} (canon lift (core func $i "handle") (memory $i "m") (realloc (func $i "realloc"))))
                    (instance $handler (export "handle" (func $handle)))
                    (export "{HANDLER}" (instance $handler)))"#
            ))
        };
        for (bytes, words) in [
            (
                takes("", "(result u32)"),
                "handle of longshore:handler/handler@0.1.0 is ()->u32, and not (record{id:string,",
            ),
            (takes("(param i32 i32)", r#"(param "m" string) (result bool)"#), "is (string)->bool"),
            (takes("(param i32)", r#"(param "m" $t4) (result u8)"#), "…, and not"),
        ] {
            let error = load_error(bytes);
            assert!(matches!(error, LoadError::Mismatch { .. }), "{error}");
            let said = error.to_string();
            assert!(said.contains(words) && said.len() < 2000, "{said}");
        }
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
