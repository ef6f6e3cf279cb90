//! The sources that a handler is built from, and when they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

/// How often the sources are looked at. They are built when two looks found the same.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// How many files are looked at, at most.
const MAX_FILES: usize = 20_000;
/// What builds make, and nobody writes.
const MADE: [&str; 5] = ["target", "node_modules", "__pycache__", ".git", ".venv"];

/// The sources that a handler is built from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Where they lie.
    pub directory: PathBuf,
    /// Files, directories with all that is in them, and globs.
    pub named: Vec<String>,
    /// What is no source although it lies among them: what the build makes, and queues.
    pub made: Vec<PathBuf>,
}

/// When each source was written, and how long it is.
type Stamps = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Sources {
    /// What the sources are now.
    #[must_use]
    pub fn now(&self) -> SourceStamps {
        let mut stamps = Stamps::new();
        let made: Vec<_> = self.made.iter().filter_map(|path| path.canonicalize().ok()).collect();
        for source in &self.named {
            let path = self.directory.join(source);
            let pattern = path.to_string_lossy().into_owned();
            match glob::glob(&pattern) {
                // What is there by this very name is meant, also where the name has a star in it.
                Ok(found) if !path.exists() => {
                    found.flatten().for_each(|path| collect(&path, &made, &mut stamps));
                }
                _ => collect(&path, &made, &mut stamps),
            }
        }
        SourceStamps(stamps)
    }

    /// Waits until the sources are others than `built`, and have stayed the same for a moment.
    /// Without sources it waits for ever.
    pub async fn changed(&self, built: &SourceStamps) -> SourceStamps {
        if self.named.is_empty() {
            std::future::pending::<()>().await;
        }
        let mut last = None;
        loop {
            sleep(LOOK_PAUSE).await;
            let sources = self.clone();
            let looked = tokio::task::spawn_blocking(move || sources.now()).await;
            let Ok(now) = looked else { continue };
            if now != *built && last.as_ref() == Some(&now) {
                return now;
            }
            last = Some(now);
        }
    }
}

/// What sources were at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStamps(Stamps);

fn collect(path: &Path, made: &[PathBuf], stamps: &mut Stamps) {
    let Ok(found) = path.symlink_metadata() else { return };
    // Names are compared first, since they are at hand.
    let has_its_name = |it: &&PathBuf| it.file_name() == path.file_name();
    let is_it = |it: &PathBuf| path.canonicalize().is_ok_and(|path| path == *it);
    if stamps.len() >= MAX_FILES || made.iter().filter(has_its_name).any(is_it) {
        return;
    }
    if !found.is_dir() {
        // A link stands for what it points to.
        let found = path.metadata().unwrap_or(found);
        stamps.insert(path.to_owned(), (found.modified().ok(), found.len()));
        return;
    }
    let is_made = |name: &std::ffi::OsStr| MADE.iter().any(|made| name == *made);
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|it| !is_made(&it.file_name())) {
        collect(&entry.path(), made, stamps);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sources(directory: &Path, named: &[&str]) -> Sources {
        let named = named.iter().map(|it| (*it).to_owned()).collect();
        Sources { directory: directory.to_owned(), named, made: Vec::new() }
    }

    #[test]
    fn sources_are_files_directories_and_globs_without_what_builds_make() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["Cargo.toml", "src/lib.rs", "src/deep/a.rs", "src/target/b.rs", "wit/c.wit", "wit/d.txt"]
        {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let found = sources(directory.path(), &["Cargo.toml", "src", "wit/**/*.wit", "none"]).now();
        let names: Vec<_> = found
            .0
            .keys()
            .map(|it| it.strip_prefix(directory.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["Cargo.toml", "src/deep/a.rs", "src/lib.rs", "wit/c.wit"]);
    }

    #[test]
    fn what_a_build_makes_and_a_queue_are_no_sources_wherever_they_lie() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["a.rs", "order.wasm", "queues/queues.db", "deep/order.wasm"] {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let mut all = sources(directory.path(), &["."]);
        all.made = ["deep/../order.wasm", "queues", "none"].map(|it| directory.path().join(it)).into();
        let found = all.now();
        let names: Vec<_> = found.0.keys().map(|it| it.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.rs", "order.wasm"]);
        assert!(found.0.keys().next_back().unwrap().parent().unwrap().ends_with("deep"));
    }

    #[tokio::test]
    async fn a_source_that_was_written_or_removed_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.rs");
        fs::write(&file, "1").unwrap();
        let watched = sources(directory.path(), &["*.rs"]);
        let first = watched.now();
        assert_eq!(watched.now(), first);
        fs::write(&file, "22").unwrap();
        let second = watched.changed(&first).await;
        assert_ne!(first, second);
        fs::remove_file(&file).unwrap();
        assert_eq!(watched.changed(&second).await, SourceStamps::default());
    }
}
