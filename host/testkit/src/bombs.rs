//! Components that are hard to load, as WebAssembly text: handlers beside something that no
//! compiler would make. Each is small, and would cost a host that compiles what it is given
//! gigabytes, minutes or its stack.

use crate::wat::{handler, handler_beside};

/// A component that is hard to load.
#[derive(Debug)]
pub struct Bomb {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// One of each kind that is refused.
pub fn refused() -> Vec<Bomb> {
    let beside = |name, before: &str| Bomb { name, bytes: handler_beside(before, "", "") };
    let module = "(core module $z (func)) (core instance (instantiate $z))";
    vec![
        beside("components that double", &doubling(module, 24, 2)),
        beside("empty components that double", &doubling("", 24, 2)),
        beside("components that multiply by twenty", &doubling("", 6, 20)),
        Bomb { name: "a deep component", bytes: deep(20_000) },
        beside("core instances", &(module.to_owned() + &"(core instance (instantiate $z))".repeat(999))),
        beside("core modules", &"(core module)".repeat(1_500)),
        beside("memory", "(core module $z (memory 65536)) (core instance (instantiate $z))"),
        beside(
            "memory of 64 bits",
            "(core module $z (memory i64 0xffffffff)) (core instance (instantiate $z))",
        ),
        beside("tables", "(core module $z (table 10000000 funcref)) (core instance (instantiate $z))"),
        Bomb { name: "exports", bytes: exports(120_000) },
        Bomb { name: "functions", bytes: core_module(3, &counted(61_000, &[0])) },
        Bomb { name: "locals", bytes: slow(1, 10_100) },
        Bomb { name: "locals beside their uses", bytes: slow(1, 6_000) },
        Bomb { name: "branches", bytes: branching("block", 900, 900) },
        Bomb { name: "deep types", bytes: deep_types(400_000) },
        beside("shared memory", "(core module $z (memory 1 65536 shared)) (core instance (instantiate $z))"),
    ]
}

/// A handler that takes long to compile, and is within all limits. Its `functions` have as many
/// `locals`, all of which live at once.
pub fn slow(functions: usize, locals: usize) -> Vec<u8> {
    let declared = "i64 ".repeat(locals);
    let statement = |n: usize| {
        let (one, other) = (n * 7 % locals, n * 13 % locals);
        format!("(local.set {n} (i64.add (local.get {one}) (local.get {other})))")
    };
    let statements: String = (0..locals).map(statement).collect();
    let function =
        format!("(func (local {declared}) (loop $l {statements} (br_if $l (i64.eqz (local.get 0)))))");
    handler(&function.repeat(functions), "")
}

/// Blocks or loops in one another, and a table of branches to all of them, each of which carries so
/// many values.
pub fn branching(block: &str, targets: usize, values: usize) -> Vec<u8> {
    let many = "i64 ".repeat(values);
    // What a branch to a loop carries are its parameters.
    let carried =
        if block == "loop" { format!("(param {many}) (result {many})") } else { format!("(result {many})") };
    let push = "i64.const 1 ".repeat(values);
    let enter = format!("{block} (type $carried) ").repeat(targets);
    let all: String = (0..targets).map(|depth| format!("{depth} ")).collect();
    let leave = "end ".repeat(targets) + &"drop ".repeat(values);
    // The values of a loop are there before it, those of a block at the branch.
    let (before, at) = if block == "loop" { (push, String::new()) } else { (String::new(), push) };
    let function = format!("(func {before} {enter} {at} i32.const 0 br_table {all} {leave})");
    handler(&format!("(type $carried (func {carried})) {function}"), "")
}

/// Components that instantiate the one before `times` times.
fn doubling(first: &str, levels: usize, times: usize) -> String {
    let level = |n: usize| {
        format!("(component $c{n} {})", format!("(instance (instantiate $c{}))", n - 1).repeat(times))
    };
    let levels_text: String = (1..=levels).map(level).collect();
    format!("(component $c0 {first}) {levels_text} (instance (instantiate $c{levels}))")
}

/// An instance that is exported again and again, each time under a long name.
fn exports(count: usize) -> Vec<u8> {
    let name = "a".repeat(40);
    let mut section = leb128(count);
    for n in 0..count {
        let name = format!("x{n}-{name}");
        section.extend([0, name.len() as u8]);
        section.extend(name.as_bytes());
        // An instance, the first, and no type.
        section.extend([5, 0, 0]);
    }
    component(11, &section)
}

/// So many times the same item, in a section.
pub fn counted(count: usize, item: &[u8]) -> Vec<u8> {
    [leb128(count), item.repeat(count)].concat()
}

/// A component with a core module with one section.
pub fn core_module(id: u8, section: &[u8]) -> Vec<u8> {
    component(1, &[b"\0asm\x01\0\0\0", &[id][..], &leb128(section.len()), section].concat())
}

/// A component with types in one another, three bytes each. No text can say it: its own parser
/// would not get to the end.
fn deep_types(levels: usize) -> Vec<u8> {
    // A vector of one type: a component type with one declaration, which is a type again.
    let mut section = vec![1];
    section.extend([0x41, 1, 1].repeat(levels));
    section.extend([0x41, 0]);
    component(7, &section)
}

/// A component with one section.
pub fn component(id: u8, section: &[u8]) -> Vec<u8> {
    [COMPONENT, &[id], &leb128(section.len()), section].concat()
}

/// Components in one another, written from the innermost to the outermost, and backwards.
pub fn deep(levels: usize) -> Vec<u8> {
    let mut backwards: Vec<u8> = COMPONENT.iter().rev().copied().collect();
    for _ in 0..levels {
        let length = leb128(backwards.len());
        backwards.extend(length.iter().rev());
        // A section that is a component.
        backwards.push(4);
        backwards.extend(COMPONENT.iter().rev());
    }
    backwards.reverse();
    backwards
}

/// What each component begins with.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
