//! Components that no compiler makes, and those that compilers do make.

use longshore_testkit::bombs;

use super::{MAX_COMPONENT, check};
use crate::error::LoadError;
use crate::limits::Limits;

fn refusal(bytes: &[u8]) -> Option<String> {
    match check(bytes, Some(&Limits::default())) {
        Ok(()) => None,
        Err(LoadError::TooBig { cause }) => Some(cause),
        Err(other) => panic!("{other:?}"),
    }
}

fn refused(text: &str) -> String {
    refusal(&wat::parse_str(text).unwrap()).unwrap_or_else(|| panic!("{} bytes of text fit", text.len()))
}

#[track_caller]
fn fits(text: &str) {
    assert_eq!(refusal(&wat::parse_str(text).unwrap()), None);
}

/// Components that instantiate the one before `times` times, `levels` of them.
fn doubling(first: &str, levels: usize, times: usize) -> String {
    let level = |n: usize| {
        format!("(component $c{n} {})", format!("(instance (instantiate $c{}))", n - 1).repeat(times))
    };
    let components: String = (1..=levels).map(level).collect();
    format!("(component (component $c0 {first}) {components} (instance (instantiate $c{levels})))")
}

#[test]
fn components_that_multiply_are_counted_and_not_made() {
    let module = "(core module $m) (core instance (instantiate $m))";
    assert_eq!(refused(&doubling(module, 7, 2)), "it has 128 instances of core modules, and 100 fit");
    assert!(refused(&doubling(module, 24, 2)).contains("instances of core modules, and 100 fit"));
    for (levels, times) in [(20, 2), (24, 2), (900, 2), (30, 20)] {
        let cause = refused(&doubling("", levels, times));
        assert!(
            cause.ends_with("instances, functions, aliases, imports and exports, and 100000 fit"),
            "{cause}"
        );
    }
    fits(&doubling(module, 6, 2));
    fits(&doubling("", 12, 2));
}

#[test]
fn what_multiplies_by_way_of_an_alias_or_an_export_is_counted_as_well() {
    // An outer component that each level finds by its index.
    let mut text = "(component (core module $m) (component $c0 (core instance (instantiate 0)))".to_owned();
    text = text
        .replace("(instantiate 0)", "(instantiate $m)")
        .replace("$c0 (core", "$c0 (alias outer 1 $m (core module $m)) (core");
    for n in 1..=9 {
        let before = n - 1;
        text.push_str(&format!(
            "(component $c{n} (alias outer 1 $c{before} (component $x)) (instance (instantiate $x)) (instance (instantiate $x)))"
        ));
    }
    assert_eq!(
        refused(&(text + "(instance (instantiate $c9)))")),
        "it has 128 instances of core modules, and 100 fit"
    );
    // An instance that exports a component.
    let mut text = "(component (component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for n in 1..=9 {
        let before = n - 1;
        text.push_str(&format!(
            r#"(instance $i{n} (export "c" (component $c{before}))) (alias export $i{n} "c" (component $x{n}))
               (component $c{n} (alias outer 1 $x{n} (component $x)) (instance (instantiate $x)) (instance (instantiate $x)))"#
        ));
    }
    assert_eq!(
        refused(&(text + "(instance (instantiate $c9)))")),
        "it has 128 instances of core modules, and 100 fit"
    );
    // One that it imports: what it costs is known only where it is given.
    let cause = refused(r#"(component (component (import "c" (component $x)) (instance (instantiate $x))))"#);
    assert!(cause.starts_with("it instantiates a component that it imports"), "{cause}");
}

#[test]
fn depth_is_limited_in_components_and_in_types() {
    assert_eq!(refusal(&bombs::deep(31)), None);
    for levels in [32, 20_000] {
        assert_eq!(refusal(&bombs::deep(levels)).unwrap(), "it has 33 components in one another, and 32 fit");
    }
    // Three bytes a level, which no reader of text would get to. Nor does this test's own stack.
    for (level, levels) in [([0x41, 1, 1], 21), ([0x42, 1, 1], 21), ([0x41, 1, 1], 300_000)] {
        let mut section = vec![1];
        for _ in 0..levels {
            section.extend(level);
        }
        section.extend([0x42, 0]);
        let cause = refusal(&bombs::component(7, &section)).unwrap();
        assert_eq!(cause, "its types are more than 20 deep in one another");
    }
}

#[test]
fn what_one_function_costs_the_compiler_is_limited() {
    let locals = |locals: usize, statements: usize| {
        let statement = "(local.set 0 (i64.add (local.get 1) (local.get 2)))".repeat(statements);
        format!("(component (core module (func (local {}) {statement})))", "i64 ".repeat(locals))
    };
    fits(&locals(2_500, 2_500));
    assert_eq!(refused(&locals(10_001, 1)), "it has 10001 local variables in one function, and 10000 fit");
    // One byte of code too many, and functions that only together are too much.
    let cause = refused(&format!("(component (core module (func {})))", "nop ".repeat(1 << 20)));
    assert_eq!(cause, "it has 1048578 bytes of code in one function, and 1048576 fit");
    assert_eq!(refusal(&bombs::slow(2, 3_000)), None);
    let cause = refusal(&bombs::slow(25, 3_000)).unwrap();
    assert!(cause.contains("bytes with 3000 local variables"), "{cause}");
    let cause = refused(&locals(9_000, 9_000));
    assert!(cause.contains("bytes with 9000 local variables"), "{cause}");
}

#[test]
fn values_that_many_branches_carry_are_counted() {
    let cause = |bytes: &[u8]| refusal(bytes).unwrap();
    let carried = "it has 90000 values carried by the branches of one function, and 50000 fit";
    assert_eq!(cause(&bombs::branching("block", 300, 300)), carried);
    assert_eq!(cause(&bombs::branching("loop", 300, 300)), carried);
    assert_eq!(refusal(&bombs::branching("block", 200, 200)), None);
    // One value in each branch is what every compiler makes.
    assert_eq!(refusal(&bombs::branching("block", 20_000, 1)), None);
}

#[test]
fn memories_tables_and_numbers_are_limited_over_the_whole_component() {
    let instances = |module: &str, count: usize| {
        format!("(component (core module $m {module}) {})", "(core instance (instantiate $m))".repeat(count))
    };
    for (text, cause) in [
        (instances("(memory 2049)", 1), "it starts with 134283264 bytes of memory and may have 134217728"),
        (instances("(memory 1025)", 2), "it starts with 134348800 bytes of memory and may have 134217728"),
        (instances("(memory i64 0xffffffffffff)", 1), "it starts with 18446744073709486080 bytes"),
        (instances("(memory 1)", 5), "it has 5 memories, and 4 fit"),
        (instances("(table 1 funcref)", 9), "it has 9 tables, and 8 fit"),
        (instances("(table 20001 funcref)", 0), "it has a table of 20001 elements, and 20000 fit"),
        (instances("", 101), "it has 101 instances of core modules, and 100 fit"),
        (
            format!("(component {})", "(core module)".repeat(1001)),
            "it has 1001 modules and components, and 1000 fit",
        ),
    ] {
        let found = refused(&text);
        assert!(found.contains(cause), "{found}");
    }
    for (bytes, cause) in [
        (bombs::core_module(3, &bombs::counted(60_001, &[0])), "it has 60001 functions, and 60000 fit"),
        (
            bombs::core_module(6, &bombs::counted(200_001, &[0x7f, 0, 0x41, 0, 0x0b])),
            "it has 200001 types, imports, exports, globals and segments of core modules",
        ),
        (
            bombs::component(7, &bombs::counted(200_000, &[0x6f, 6, 0x7d, 0x7d, 0x7d, 0x7d, 0x7d, 0x7d])),
            "it has 1600003 bytes of types, and 1048576 fit",
        ),
    ] {
        let found = refusal(&bytes).unwrap();
        assert!(found.contains(cause), "{found}");
    }
    fits(&instances("(memory 512) (table 20000 funcref)", 4));
    fits(&instances("", 100));
}

#[test]
fn a_component_that_is_too_large_is_refused_by_its_size_alone() {
    let zeroes = vec![0; MAX_COMPONENT + 1];
    assert_eq!(refusal(&zeroes).unwrap(), "it has 134217729 bytes, and 134217728 fit");
}
