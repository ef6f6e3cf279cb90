//! Arbitrary bytes as a component of which only the outline is read, as `inspect` and `push` do.
//! The binary `fuzz` loads and calls them.

use longshore_testkit::fuzz::{Corpus, FuzzTarget, feed};
use longshore_testkit::{bombs, wat};

use super::{Outline, describe};
use crate::grants::Grants;
use crate::limits::Limits;

const OUTLINE_TARGET: &str = "outline";

/// Larger seeds take too much of the time, in bytes.
const LARGEST_SEED: usize = 16 << 10;

#[test]
fn whatever_a_component_is_its_outline_is_read_or_refused() {
    let small = wat::handler("", "(drop (memory.grow (i32.const 1)))");
    let mut seeds = vec![small, bombs::deep(4), bombs::slow(2, 3), bombs::branching("block", 2, 3)];
    seeds.extend_from_slice(Corpus::of("component").inputs());
    seeds.retain(|seed| seed.len() <= LARGEST_SEED);
    let words =
        &["\0asm\u{d}\0\u{1}\0", "\0asm\u{1}\0\0\0", "longshore:handler/handler@0.1.0", "\u{7f}\u{7f}\u{7f}"];
    let target = FuzzTarget { name: OUTLINE_TARGET, module: module_path!(), words, seeds };
    feed(&target, |bytes| {
        let within = Outline::read(bytes, Some(&Limits::default()));
        match describe(bytes, &Grants::default()) {
            Ok(described) => {
                assert_eq!(described.size, bytes.len());
                format!("described {} {}", described.handler, within.is_ok())
            }
            Err(error) => format!("{error} {}", within.is_ok()),
        }
    });
}
