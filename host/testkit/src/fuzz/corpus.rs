//! Inputs that are worth to be changed: one for each way in which an input has ended so far.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Larger ones are not kept: they are slow to read, and say no more than a small one.
const LARGEST: usize = 4096;
/// How many inputs of one target are kept.
const MOST: usize = 100;
/// How many inputs are learned in one run: some readers repeat words of what they read.
const MOST_LEARNED: usize = 2000;
/// How many bytes all targets together may keep.
pub const MAX_CORPORA: u64 = 1_000_000;
/// Words of what was said that tell its kind.
const WORDS: usize = 12;
/// How many digits of its digest an input is named by.
const DIGITS: usize = 16;

/// What is in the corpus of a target, and what was learned since.
#[derive(Debug)]
pub struct Corpus {
    directory: PathBuf,
    inputs: Vec<Vec<u8>>,
    seen: BTreeSet<String>,
    /// How many more files may be kept.
    room: usize,
}

impl Corpus {
    /// What was kept for a target so far.
    pub fn of(target: &str) -> Self {
        let directory = directory().join(target);
        let files = std::fs::read_dir(&directory).into_iter().flatten();
        // In the same order on each machine, else a seed would not say what a run did.
        let files: BTreeSet<_> = files.map(|file| file.unwrap().path()).collect();
        let inputs: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        let grows = std::env::var_os("LONGSHORE_FUZZ_KEEP").is_some();
        let room = if grows { MOST.saturating_sub(inputs.len()) } else { 0 };
        Self { directory, inputs, seen: BTreeSet::new(), room }
    }

    /// The same with inputs that are in no file.
    #[must_use]
    pub fn with(mut self, seeds: &[Vec<u8>]) -> Self {
        self.inputs.extend_from_slice(seeds);
        self
    }

    /// Whether there is a directory with files.
    pub fn is_there(&self) -> bool {
        std::fs::read_dir(&self.directory).is_ok_and(|mut files| files.next().is_some())
    }

    /// The inputs, those of the files first.
    pub fn inputs(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// Writes the first input into the directory of a target that has none yet, if it grows.
    pub(super) fn begin(&self) {
        if let Some(first) = self.inputs.first().filter(|_| self.room > 0 && !self.is_there()) {
            self.keep(first);
        }
    }

    /// Notes how an input ended that is there already.
    pub fn knows(&mut self, how: &str) {
        self.seen.insert(kind(how));
    }

    /// Keeps an input that ended as none before it.
    pub fn learn(&mut self, how: &str, bytes: Vec<u8>) {
        let is_full = self.inputs.len() >= MOST_LEARNED;
        if is_full || bytes.len() > LARGEST || !self.seen.insert(kind(how)) || self.inputs.contains(&bytes) {
            return;
        }
        if self.room > 0 {
            self.keep(&bytes);
            self.room -= 1;
        }
        self.inputs.push(bytes);
    }

    /// Writes an input into the directory.
    pub fn keep(&self, bytes: &[u8]) -> PathBuf {
        let digest = Sha256::digest(bytes);
        let mut name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        name.truncate(DIGITS);
        std::fs::create_dir_all(&self.directory).unwrap();
        let file = self.directory.join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    }
}

impl fmt::Display for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs, {} ways to end", self.inputs.len(), self.seen.len())
    }
}

/// Where the corpora are.
pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// What was said, without the numbers and names in it, which differ from input to input.
fn kind(how: &str) -> String {
    let mut quote = None;
    let unquoted: String = how
        .chars()
        .filter(|letter| {
            if matches!(letter, '`' | '"') && quote.is_none_or(|quote| quote == *letter) {
                quote = if quote.is_none() { Some(*letter) } else { None };
            }
            quote.is_none()
        })
        .collect();
    let words = unquoted.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words = words.filter(|word| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic()));
    words.take(WORDS).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the targets, as their modules write them.
    fn named(directory: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                named(&path, found);
            } else if path.ends_with("fuzz.rs") || path.ends_with("fuzz/main.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.lines().filter_map(|line| line.split_once("_TARGET: &str = \""));
                found.extend(names.filter_map(|(_, it)| it.strip_suffix("\";")).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_target_has_a_corpus_and_all_of_them_are_small() {
        let (mut corpora, mut bytes) = (BTreeSet::new(), 0);
        for entry in std::fs::read_dir(directory()).unwrap() {
            let path = entry.unwrap().path();
            corpora.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
            let files = std::fs::read_dir(&path).unwrap();
            bytes += files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>();
        }
        let mut targets = BTreeSet::new();
        named(&crate::root().join("host"), &mut targets);
        // `make fuzz` shares its time by the number of corpora.
        assert_eq!(corpora, targets);
        assert!(bytes < MAX_CORPORA, "{bytes}");
    }
}
