//! `longshore`: unloads a queue, and hands each message to a sandboxed WebAssembly component.

/// A message costs some 150 allocations, and many of them are freed by another thread. With the
/// system's allocator that is a seventh of a drain's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Reads `FAILPOINTS`, and forgets it when it is dropped.
    #[cfg(feature = "failpoints")]
    let _failpoints = longshore_failpoint::setup();
    longshore::commands::main()
}
