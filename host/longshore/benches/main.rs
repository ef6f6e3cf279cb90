//! What a message costs, beside the floors below which it cannot go. Nothing here is a test: `make
//! bench` prints figures, and ratios of figures that were taken in the same run.

mod bare;
mod beside;
mod call;
mod child;
mod drain;
mod floor;
mod http;
mod languages;
mod many;
mod servicebus;
mod settings;
mod start;
mod storage;
mod telemetry;
mod workbench;

use workbench::Workbench;

/// Measures something, and prints it.
type Part = fn(&Workbench);

fn main() {
    // `cargo bench` passes flags of its own; a word picks the parts whose names contain it.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let parts: [(&str, Part); 13] = [
        ("call", call::measure),
        ("settings", settings::measure),
        ("start", start::measure),
        ("languages", languages::measure),
        ("drain", drain::measure),
        ("depth", drain::measure_depth),
        ("many", many::measure),
        ("http", http::measure),
        ("telemetry", telemetry::measure),
        ("storage", storage::measure),
        ("storage-clients", storage::measure_clients),
        ("storage-slow", storage::measure_slow),
        ("servicebus", servicebus::measure),
    ];
    let workbench = Workbench::new();
    println!("{}", workbench.machine());
    for (name, measure) in parts {
        if name.contains(&wanted) {
            println!("\n== {name}");
            measure(&workbench);
        }
    }
}
