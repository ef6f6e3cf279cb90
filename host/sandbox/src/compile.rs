//! Compiling a component: for an engine of this process, or ahead of time.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::describe::Outline;
use crate::error::LoadError;
#[cfg(feature = "compiler")]
use crate::error::cut;

/// Compiles a component for this engine, or takes it from the compile cache.
#[cfg(feature = "compiler")]
pub(crate) fn compiled(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    Component::new(engine, bytes).map_err(|error| explain(&error, bytes))
}

#[cfg(not(feature = "compiler"))]
pub(crate) fn compiled(_: &Engine, _: &[u8]) -> Result<Component, LoadError> {
    Err(LoadError::NoCompiler)
}

/// The engine has one type for all its errors. If the bytes are valid, it was their size.
#[cfg(feature = "compiler")]
fn explain(error: &wasmtime::Error, bytes: &[u8]) -> LoadError {
    let cause = cut(format!("{error:#}"));
    match wasmparser::Validator::new().validate_all(bytes) {
        Ok(_) => LoadError::TooBig { cause },
        Err(_) => LoadError::Damaged { cause },
    }
}

/// Which processors compiled code runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Cpu {
    /// All processors of the target.
    #[default]
    Baseline,
    /// Only processors with the features of this machine's.
    Native,
}

/// The system that this host runs on, as compilers name it.
pub fn own_target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Compiles a component ahead of time, for a target (`x86_64-unknown-linux-gnu`; `None`: this
/// machine's) and its processors. The result is for
/// [`Settings::precompiled`](crate::Settings::precompiled).
///
/// # Errors
/// When the bytes are no component, the target is none that this host can compile for, or this host
/// has no compiler.
pub fn compile(bytes: &[u8], target: Option<&str>, cpu: Cpu) -> Result<Vec<u8>, LoadError> {
    Outline::read(bytes, None)?;
    #[cfg(feature = "compiler")]
    {
        let mut config = crate::engine::config(&crate::limits::Limits::default());
        let refused = |error: wasmtime::Error| LoadError::Target { cause: cut(format!("{error:#}")) };
        if target.is_some() || cpu == Cpu::Baseline {
            // A target that is named has no more than its baseline, even if it is this machine's.
            config.target(target.unwrap_or(&own_target())).map_err(refused)?;
        }
        let engine = Engine::new(&config).map_err(refused)?;
        let made = engine.precompile_component(bytes).map_err(|error| explain(&error, bytes))?;
        Ok(crate::precompiled::write(bytes, &made))
    }
    #[cfg(not(feature = "compiler"))]
    {
        let _ = (target, cpu);
        Err(LoadError::NoCompiler)
    }
}
