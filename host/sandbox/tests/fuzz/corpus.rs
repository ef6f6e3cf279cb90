//! Inputs that are worth to be changed: one for each way in which a candidate has ended so far.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use longshore_sandbox::digest;

/// Larger ones are not kept: they are slow to load, and say no more than a small one.
const LARGEST: usize = 4096;
/// Words of a message that tell its kind.
const WORDS: usize = 12;

/// What is in `corpus/`, and what was learned since.
pub(crate) struct Corpus {
    inputs: Vec<Vec<u8>>,
    seen: BTreeSet<String>,
    /// Whether what is learned goes into the directory.
    grows: bool,
}

impl Corpus {
    pub(crate) fn read() -> Self {
        let files = std::fs::read_dir(directory()).unwrap().map(|file| file.unwrap().path());
        // In the same order on each machine, else a seed would not say what a run did.
        let files: BTreeSet<_> = files.collect();
        let inputs = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        Self { inputs, seen: BTreeSet::new(), grows: std::env::var_os("LONGSHORE_FUZZ_KEEP").is_some() }
    }

    pub(crate) fn inputs(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// Keeps a candidate that ended as none before it.
    pub(crate) fn learn(&mut self, how: &str, bytes: Vec<u8>) {
        if bytes.len() > LARGEST || !self.seen.insert(kind(how)) || self.inputs.contains(&bytes) {
            return;
        }
        if self.grows {
            self.keep(&bytes);
        }
        self.inputs.push(bytes);
    }

    /// Writes a candidate into the directory.
    pub(crate) fn keep(&self, bytes: &[u8]) -> PathBuf {
        let digest = digest(bytes);
        let name = digest.trim_start_matches("sha256:");
        let file = directory().join(&name[..16]);
        std::fs::write(&file, bytes).unwrap();
        file
    }
}

impl fmt::Display for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs, {} ways to end in this run", self.inputs.len(), self.seen.len())
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// What was said, without the numbers and names in it, which differ from input to input.
fn kind(how: &str) -> String {
    let mut quoted = false;
    let unquoted: String = how
        .chars()
        .filter(|letter| {
            quoted ^= *letter == '`';
            !quoted
        })
        .collect();
    let words = unquoted.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words = words.filter(|word| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic()));
    words.take(WORDS).collect::<Vec<_>>().join(" ")
}
