//! How candidates are made.

use arbitrary::{Arbitrary, Unstructured};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::common::{guest, wat};

/// Larger ones are no longer grown.
const LARGEST: usize = 64 << 10;
/// Bytes that choices of `wasm-smith` are made from.
const CHOICES: usize = 4096;
/// What a component begins with, as far as its version.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
/// The section that holds a module
/// ([component binary format](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md)).
const CORE_MODULE: u8 = 1;

/// Makes candidates of noise, of `wasm-smith`, and of others.
pub(crate) struct Maker {
    /// A handler of a few instructions, whose first section is its module.
    small: Vec<u8>,
    /// The example: to compile it takes a thousand times as long, hence now and then only.
    order: Vec<u8>,
    /// What a handler's module has to export.
    exports: Vec<u8>,
}

impl Maker {
    pub(crate) fn new() -> Self {
        let exports = r#"(module (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) unreachable))"#;
        Self {
            small: wat::handler("", "(drop (memory.grow (i32.const 1)))"),
            order: std::fs::read(guest::order()).unwrap(),
            exports: ::wat::parse_str(exports).unwrap(),
        }
    }

    pub(crate) fn candidate(&self, rng: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut noise = vec![0; rng.random_range(0..CHOICES)];
        rng.fill_bytes(&mut noise);
        match rng.random_range(0..16) {
            0 => noise,
            1 => [HEADER, &noise].concat(),
            2 | 3 => wasm_smith::Component::arbitrary(&mut Unstructured::new(&noise))
                .map_or(noise, |component| component.to_bytes()),
            4..7 => self.around_a_module(&noise),
            7 if rng.random_ratio(1, 16) => change(rng, self.order.clone(), &self.small),
            8 => change(rng, self.small.clone(), &noise),
            _ if corpus.is_empty() => change(rng, self.small.clone(), &noise),
            _ => {
                let [one, other] = [(); 2].map(|()| &corpus[rng.random_range(0..corpus.len())]);
                change(rng, one.clone(), other)
            }
        }
    }

    /// A handler in every other respect, whose module `wasm-smith` made.
    fn around_a_module(&self, choices: &[u8]) -> Vec<u8> {
        let exports = Some(self.exports.clone());
        let config = wasm_smith::Config { exports, max_imports: 0, ..wasm_smith::Config::default() };
        let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(choices)) else {
            return self.small.clone();
        };
        let module = module.to_bytes();
        let (section, rest) = self.small[HEADER.len()..].split_first().unwrap();
        assert_eq!(*section, CORE_MODULE);
        let (replaced, length) = read_leb128(rest);
        let mut bytes = [HEADER, &[CORE_MODULE]].concat();
        write_leb128(&mut bytes, module.len());
        bytes.extend(module);
        bytes.extend_from_slice(&rest[length + replaced..]);
        bytes
    }
}

/// Changes a few places, or one of two halves.
fn change(rng: &mut StdRng, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..=64)).min(bytes.len());
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 if bytes.len() < LARGEST => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 if bytes.len() < LARGEST && !other.is_empty() => {
                let from = rng.random_range(0..other.len());
                let until = (from + rng.random_range(1..=256)).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
            4 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(rng.random_range(1..4)),
            _ if at < bytes.len() => bytes[at] = rng.random(),
            _ => {}
        }
    }
    bytes
}

/// A number, and how many bytes it takes.
fn read_leb128(bytes: &[u8]) -> (usize, usize) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let number = bytes[..length].iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    (number, length)
}

fn write_leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
