//! Why bytes cannot be a handler, in words that name the cause and what to do.

use wasmparser::BinaryReaderError;

use crate::names::HANDLER;
use crate::shorten::shorten;

/// How much of an engine's or a reader's cause is kept, in bytes: it repeats names of the
/// component.
const LONGEST_CAUSE: usize = 1024;

/// How many names of imports or exports an error lists, and how much of each, in bytes.
const MAX_NAMES: usize = 10;
const LONGEST_NAME: usize = 200;

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
    #[error("needs {}, which this host does not offer; `longshore inspect` lists what it imports", listed(.imports, " and "))]
    MissingImport {
        /// The imports that this host does not offer.
        imports: Vec<String>,
    },
    /// It needs what was not granted to it.
    #[error("needs {}", ungranted(.needs))]
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
    let imports: Vec<_> = needs.iter().map(|(import, _)| short(import)).collect();
    let flags: Vec<_> = needs.iter().map(|(_, flag)| format!("`{flag}`")).collect();
    let (it, flags) = (if needs.len() == 1 { "it" } else { "them" }, flags.join(" and "));
    format!(
        "{}, and nothing grants {it}; build the component without {it}, or grant {it} with {flags}",
        imports.join(" and ")
    )
}

/// Cuts a cause to what is fit for a line of a log.
pub(crate) fn cut(cause: String) -> String {
    shorten(cause, LONGEST_CAUSE)
}

/// What a reader of the bytes says.
pub(crate) fn damaged(error: BinaryReaderError) -> LoadError {
    LoadError::Damaged { cause: cut(error.to_string()) }
}

/// What a limit says.
pub(crate) fn too_big(cause: String) -> LoadError {
    LoadError::TooBig { cause }
}

/// Some of the names, and how many more there are.
fn listed(names: &[String], separator: &str) -> String {
    let shown: Vec<_> = names.iter().take(MAX_NAMES).map(|name| short(name)).collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    let more = if more > 0 { format!("{separator}{more} more") } else { String::new() };
    shown.join(separator) + &more
}

fn short(name: &str) -> String {
    shorten(name.to_owned(), LONGEST_NAME)
}

fn missing(exports: &[String]) -> String {
    let interface = HANDLER.split_once('@').map_or(HANDLER, |(interface, _)| interface);
    let other = exports.iter().find(|name| {
        name.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
    });
    match (other, exports) {
        (Some(other), _) => format!("exports {}, and this host calls {HANDLER}", short(other)),
        (None, []) => format!("exports no {HANDLER}, nor anything else"),
        (None, exports) => format!("exports no {HANDLER}, but {}", listed(exports, ", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{LoadError, cut};

    #[test]
    fn no_error_is_longer_than_a_line_of_a_log_whatever_a_component_is_full_of() {
        let names = vec!["n".repeat(90_000); 5_000];
        for (error, words) in [
            (LoadError::OtherWorld { exports: names.clone() }, "n…, 4990 more"),
            (
                LoadError::OtherWorld {
                    exports: vec![format!("longshore:handler/handler@{}", "9".repeat(90_000))],
                },
                "999…",
            ),
            (LoadError::MissingImport { imports: names }, "n… and 4990 more"),
            (
                LoadError::NotGranted { needs: vec![("n".repeat(90_000), "--outbox")] },
                "n…, and nothing grants it; build the component without it, or grant it with `--outbox`",
            ),
            (LoadError::Damaged { cause: cut("n".repeat(90_000)) }, "n…; build"),
        ] {
            let said = error.to_string();
            assert!(said.len() < 4096 && said.contains(words), "{} bytes", said.len());
        }
    }
}
