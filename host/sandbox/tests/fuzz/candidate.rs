//! How candidates are made.

use arbitrary::{Arbitrary, Unstructured};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use longshore_testkit::fuzz::change;
use longshore_testkit::{guest, wat};

/// Bytes that choices of `wasm-smith` are made from.
const CHOICES: usize = 4096;
/// What a component begins with, as far as its version.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
/// The number of the section that holds a module, and the section that makes an instance of the
/// second module, without arguments ([component binary
/// format](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md)).
const CORE_MODULE: u8 = 1;
const INSTANCE_OF_THE_SECOND: &[u8] = &[2, 4, 1, 0, 1, 0];

/// Makes candidates of noise, of `wasm-smith`, and of others.
pub(crate) struct Maker {
    /// A handler of a few instructions.
    small: Vec<u8>,
    /// The example: to compile it takes a thousand times as long, hence now and then only.
    order: Vec<u8>,
}

impl Maker {
    pub(crate) fn new() -> Self {
        Self {
            small: wat::handler("", "(drop (memory.grow (i32.const 1)))"),
            order: std::fs::read(guest::order()).unwrap(),
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
            4..7 => self.beside_a_module(&noise),
            7 if rng.random_ratio(1, 16) => change(rng, self.order.clone(), &self.small, &[]),
            8 => change(rng, self.small.clone(), &noise, &[]),
            _ if corpus.is_empty() => change(rng, self.small.clone(), &noise, &[]),
            _ => {
                let [one, other] = [(); 2].map(|()| &corpus[rng.random_range(0..corpus.len())]);
                change(rng, one.clone(), other, &[])
            }
        }
    }

    /// A handler with another module in it, which `wasm-smith` made, and which starts before it.
    fn beside_a_module(&self, choices: &[u8]) -> Vec<u8> {
        let config = wasm_smith::Config { max_imports: 0, ..wasm_smith::Config::default() };
        let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(choices)) else {
            return self.small.clone();
        };
        let module = module.to_bytes();
        let mut bytes = self.small.clone();
        bytes.push(CORE_MODULE);
        write_leb128(&mut bytes, module.len());
        bytes.extend(module);
        bytes.extend_from_slice(INSTANCE_OF_THE_SECOND);
        bytes
    }
}

fn write_leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
