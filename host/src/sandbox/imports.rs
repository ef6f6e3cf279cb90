//! What the host offers to guests: WASI 0.2, always linked and always empty, and the log.

use wasmtime::component::Linker;
use wasmtime::{Engine, Result};
use wasmtime_wasi::p2;

use super::invoke::State;
use super::logging;

/// The interfaces of WASI 0.2, in any version `0.2.x`.
const WASI: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Whether the host offers an interface, named as in a component: `wasi:io/poll@0.2.3`.
pub(super) fn offered(name: &str) -> bool {
    if name == logging::INTERFACE {
        return true;
    }
    let Some((interface, version)) = name.split_once('@') else { return false };
    let patch = version.strip_prefix("0.2.").unwrap_or_default();
    !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()) && WASI.contains(&interface)
}

pub(super) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::offered;

    #[test]
    fn interfaces_are_offered_by_name_and_compatible_version() {
        for (name, expected) in [
            ("wasi:cli/exit@0.2.0", true),
            ("wasi:cli/exit@0.2.17", true),
            ("wasi:logging/logging@0.1.0-draft", true),
            ("wasi:logging/logging@0.1.0", false),
            ("wasi:cli/exit", false),
            ("wasi:cli/exit@0.2", false),
            ("wasi:cli/exit@0.3.0", false),
            ("wasi:cli/exit@0.2.0-rc-2023-11-10", false),
            ("wasi:cli/run@0.2.0", false),
            ("wasi:http/types@0.2.0", false),
            ("acme:db/store@1.0.0", false),
        ] {
            assert_eq!(offered(name), expected, "{name}");
        }
    }
}
