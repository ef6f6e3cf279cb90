//! What the host offers to guests: WASI 0.2, always linked and always empty, the log, and what can be granted.

use wasmtime::component::Linker;
use wasmtime::{Engine, Result};
use wasmtime_wasi::p2;

use super::invoke::State;
use super::{logging, outbox, settings};

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
    "wasi:http/outgoing-handler",
    "wasi:http/types",
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
    [logging::INTERFACE, outbox::INTERFACE, settings::INTERFACE].contains(&name) || wasi(name).is_some()
}

/// The name without its version, if it is an interface of WASI 0.2 that the host offers.
pub(super) fn wasi(name: &str) -> Option<&str> {
    let (interface, version) = name.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let released = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    (released && WASI.contains(&interface)).then_some(interface)
}

pub(super) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    outbox::add_to_linker(&mut linker)?;
    settings::add_to_linker(&mut linker)?;
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
            ("wasi:http/types@0.2.0", true),
            ("wasi:http/incoming-handler@0.2.0", false),
            ("longshore:handler/outbox@0.1.0", true),
            ("longshore:handler/outbox@0.2.0", false),
            ("wasi:config/store@0.2.0-rc.1", true),
            ("wasi:config/store@0.2.0", false),
            ("acme:db/store@1.0.0", false),
        ] {
            assert_eq!(offered(name), expected, "{name}");
        }
    }
}
