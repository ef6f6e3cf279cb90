//! What is said while a component is compiled.

use std::path::Path;

use crate::process::{Ended, longshore, run};
use crate::terminal::on_a_terminal;

/// How often twice as large a component is tried, for a machine that compiles fast.
const DOUBLINGS: u32 = 7;

/// A component whose functions take a while to compile.
fn write_component(path: &Path, functions: usize) {
    let body = "local.get 0 i32.const 3 i32.mul i32.const 7 i32.rem_u local.set 0 ".repeat(40);
    let function = format!("(func (param i32) (result i32) {body} local.get 0)");
    let text = format!("(component (core module {}))", function.repeat(functions));
    std::fs::write(path, wat::parse_str(text).unwrap()).unwrap();
}

#[test]
fn a_terminal_shows_that_a_component_is_being_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let (file, to) = (directory.path().join("large.wasm"), directory.path().join("large.cwasm"));
    let compile = ["compile", file.to_str().unwrap(), "-o", to.to_str().unwrap()];
    let said = (0..DOUBLINGS).find_map(|n| {
        write_component(&file, 60 << n);
        let said = on_a_terminal(&compile, "");
        assert!(said.contains("digest"), "{said}");
        said.contains("compiling ").then_some(said)
    });
    let said = said.expect("compiling took no time at all");
    // What was drawn is gone when the result is printed.
    let result = &said[said.rfind("component ").unwrap()..];
    assert!(said.contains("large.wasm, once for this machine") && !result.contains("compiling"), "{said}");
    write_component(&file, 1);
    let said = on_a_terminal(&compile, "");
    assert!(said.contains("digest") && !said.contains("compiling"), "{said}");
}

#[test]
fn without_a_terminal_the_log_says_once_that_compiling_took_long() {
    let directory = tempfile::tempdir().unwrap();
    let (file, to) = (directory.path().join("large.wasm"), directory.path().join("large.cwasm"));
    let compile = || -> Ended {
        run(longshore(["compile", "--log-format=json"]).arg(&file).arg("-o").arg(&to)).succeeded()
    };
    let line = (0..DOUBLINGS).find_map(|n| {
        write_component(&file, 250 << n);
        let ended = compile();
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert!(lines.len() <= 1, "{ended:?}");
        lines.first().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
    });
    let line = line.expect("compiling never took a second");
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"the component is compiled".into()));
    assert!(
        line["ms"].as_u64().unwrap() >= 1000 && line["component"].as_str().unwrap().contains("large.wasm")
    );
    write_component(&file, 1);
    assert_eq!(compile().stderr, "");
}
