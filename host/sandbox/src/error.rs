//! Why bytes cannot be a handler, in words that name the cause and what to do.

use crate::names::HANDLER;

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
    /// It starts like a component. It is damaged, cut short, or uses what the engine does not know.
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
        /// The imports that this host does not offer.
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
    /// It was compiled ahead of time, and the result cannot be used. The component itself can.
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
