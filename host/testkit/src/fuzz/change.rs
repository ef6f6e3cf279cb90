//! How an input is made from others.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// Larger inputs are no longer grown, in bytes.
const LARGEST: usize = 64 << 10;
/// The longest piece that is repeated until an input is large, in bytes.
const LONGEST_REPEATED: usize = 8;
/// Numbers at which readers of numbers stumble.
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "99999999999999999999999999",
    "1e999",
    "00000000000000000000000000000000000000001",
];

/// Changes a few places of an input, with pieces of another one and with words.
pub fn change(rng: &mut StdRng, mut bytes: Vec<u8>, other: &[u8], words: &[&str]) -> Vec<u8> {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..=64)).min(bytes.len());
        let may_grow = bytes.len() < LARGEST;
        match rng.random_range(0..10) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 if may_grow => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 if may_grow && !other.is_empty() => {
                let from = rng.random_range(0..other.len());
                let until = (from + rng.random_range(1..=256)).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
            4 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(rng.random_range(1..4)),
            5 if may_grow && !words.is_empty() => {
                let word = words[rng.random_range(0..words.len())];
                let end = if rng.random() { end } else { at };
                bytes.splice(at..end, word.bytes());
            }
            6 if may_grow => {
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
                bytes.splice(at..at + digits, number.bytes());
            }
            7 => {
                // A number in binary, at one of its ends.
                let byte = [0x00, 0x7f, 0x80, 0xff][rng.random_range(0..4)];
                let width = [1, 2, 4, 8][rng.random_range(0..4)];
                let end = (at + width).min(bytes.len());
                bytes[at..end].fill(byte);
            }
            8 if may_grow && rng.random_ratio(1, 16) => {
                let end = end.min(at + LONGEST_REPEATED);
                let piece = bytes[at..end].to_vec();
                let times = rng.random_range(0..=(LARGEST - bytes.len()) / piece.len().max(1));
                bytes.splice(at..at, piece.repeat(times));
            }
            _ if at < bytes.len() => bytes[at] = rng.random(),
            _ => {}
        }
    }
    bytes
}

/// Bytes without any meaning.
pub(super) fn noise(rng: &mut StdRng) -> Vec<u8> {
    let mut noise = vec![0; rng.random_range(0..512)];
    rng.fill_bytes(&mut noise);
    noise
}
