//! The names of interfaces: what a handler exports, and what the host offers to it.

/// The export of a handler that was written for longshore.
pub(crate) const HANDLER: &str = "longshore:handler/handler@0.1.0";

/// The export of a handler that was written for wasmCloud
/// ([wasmcloud:messaging](https://github.com/wasmCloud/messaging)).
pub(crate) const WASMCLOUD: &str = "wasmcloud:messaging/handler@0.2.0";

/// The import that logs a line.
pub(crate) const LOGGING: &str = "wasi:logging/logging@0.1.0-draft";

/// The import that sends a message to another queue.
pub(crate) const OUTBOX: &str = "longshore:handler/outbox@0.1.0";

/// The import that reads and sets the state of the message's session.
pub(crate) const SESSION: &str = "longshore:handler/session@0.1.0";

/// The import that shows settings.
pub(crate) const SETTINGS: &str = "wasi:config/store@0.2.0-rc.1";

/// The version of WASI that `wasmtime-wasi` and `wasmtime-wasi-http` link. Replacing a function of
/// theirs takes its full name.
pub(crate) const LINKED_WASI: &str = "0.2.12";

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

/// Whether a component with these exports can be a handler.
pub(crate) fn is_handler(exports: &[String]) -> bool {
    exports.iter().any(|name| name == HANDLER || name == WASMCLOUD)
}

/// Whether the host links an interface, named as in a component: `wasi:io/poll@0.2.3`.
pub(crate) fn is_linked(name: &str) -> bool {
    [LOGGING, OUTBOX, SESSION, SETTINGS].contains(&name) || wasi(name).is_some()
}

/// Whether the host links an interface, and refuses each use of it.
pub(crate) fn is_refused(name: &str) -> bool {
    wasi(name).is_some_and(|interface| interface.starts_with("wasi:sockets/"))
}

/// The name without its version, if it is an interface of WASI 0.2 that the host offers.
pub(crate) fn wasi(name: &str) -> Option<&str> {
    let (interface, version) = name.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let released = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    (released && WASI.contains(&interface)).then_some(interface)
}

#[cfg(test)]
mod tests {
    use super::{HANDLER, OUTBOX, WASMCLOUD, is_handler, is_linked, is_refused, wasi};

    #[test]
    fn interfaces_are_linked_by_name_and_compatible_version() {
        for (name, expected) in [
            ("wasi:cli/exit@0.2.0", true),
            ("wasi:cli/exit@0.2.17", true),
            ("wasi:logging/logging@0.1.0-draft", true),
            ("wasi:logging/logging@0.1.0", false),
            ("wasi:cli/exit", false),
            ("wasi:cli/exit@0.2", false),
            ("wasi:cli/exit@0.2.", false),
            ("wasi:cli/exit@0.3.0", false),
            ("wasi:cli/exit@0.2.0-rc-2023-11-10", false),
            ("wasi:cli/run@0.2.0", false),
            ("wasi:http/types@0.2.0", true),
            ("wasi:http/incoming-handler@0.2.0", false),
            ("longshore:handler/outbox@0.1.0", true),
            ("longshore:handler/outbox@0.2.0", false),
            ("longshore:handler/session@0.1.0", true),
            ("longshore:handler/session@0.2.0", false),
            ("wasi:config/store@0.2.0-rc.1", true),
            ("wasi:config/store@0.2.0", false),
            ("acme:db/store@1.0.0", false),
        ] {
            assert_eq!(is_linked(name), expected, "{name}");
        }
    }

    #[test]
    fn sockets_are_linked_and_refused() {
        for (name, expected) in [
            ("wasi:sockets/tcp@0.2.0", true),
            ("wasi:sockets/ip-name-lookup@0.2.12", true),
            ("wasi:sockets/tcp@0.3.0", false),
            ("wasi:io/poll@0.2.3", false),
        ] {
            assert_eq!(is_refused(name), expected, "{name}");
            assert!(!expected || is_linked(name), "{name}");
        }
    }

    #[test]
    fn an_interface_of_wasi_is_named_without_its_version() {
        assert_eq!(wasi("wasi:io/poll@0.2.3"), Some("wasi:io/poll"));
        assert_eq!(wasi("wasi:io/poll@0.1.0"), None);
    }

    #[test]
    fn a_handler_exports_one_of_two_interfaces() {
        let exports = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (names, expected) in [
            (&[HANDLER][..], true),
            (&["acme:db/store@1.0.0", WASMCLOUD], true),
            (&[OUTBOX], false),
            (&[], false),
        ] {
            assert_eq!(is_handler(&exports(names)), expected, "{names:?}");
        }
    }
}
