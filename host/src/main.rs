//! `longshore`: unloads a queue, and hands each message to a sandboxed WebAssembly component.

fn main() -> std::process::ExitCode {
    longshore::commands::main()
}
