//! `longshore`: unloads a queue, and hands each message to a sandboxed WebAssembly component.

fn main() -> std::process::ExitCode {
    // Reads `FAILPOINTS`, and forgets it when it is dropped.
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    longshore::commands::main()
}
