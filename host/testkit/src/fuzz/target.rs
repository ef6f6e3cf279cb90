//! What is fed.

/// What is fed with arbitrary bytes.
#[derive(Clone, Debug)]
pub struct FuzzTarget {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// The module of its test: `module_path!()`.
    pub module: &'static str,
    /// Pieces of what it reads. They are put between the bytes of an input.
    pub words: &'static [&'static str],
    /// Inputs to begin with, picked by hand.
    pub seeds: Vec<Vec<u8>>,
}

impl FuzzTarget {
    /// A target whose seeds are texts.
    pub fn of_texts(
        name: &'static str,
        module: &'static str,
        words: &'static [&'static str],
        seeds: &[&str],
    ) -> Self {
        let seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
        Self { name, module, words, seeds }
    }
}
