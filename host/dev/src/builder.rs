//! Builds the handler, at the start and whenever a source of it changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::tail::Tail;

/// How often the sources are looked at. They are built when two looks found the same.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// How many files are looked at, at most.
const MAX_FILES: usize = 20_000;
/// The longest line of what a build says, in bytes.
const MAX_LINE: u64 = 16 * 1024;
/// What builds make, and nobody writes.
const MADE: [&str; 5] = ["target", "node_modules", "__pycache__", ".git", ".venv"];

/// How the handler is built: the command, and the sources that it is built from.
#[derive(Clone, Debug)]
pub struct Builder {
    /// What `sh -c` is given.
    pub command: String,
    /// Where it runs.
    pub directory: PathBuf,
    /// Files, directories with all that is in them, and globs.
    pub sources: Vec<String>,
    /// What is no source although it lies among them: what the build makes, and queues.
    pub made: Vec<PathBuf>,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildResult {
    /// How it failed; `None` if it did not.
    pub failure: Option<String>,
    /// The end of what it said.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

/// When each source was written, and how long it is.
type Stamps = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Builder {
    /// Builds. A build that is given up is killed, with all that it has started.
    pub async fn build(&self) -> BuildResult {
        let began = Instant::now();
        let (failure, output) = match self.run().await {
            Ok(ended) => ended,
            Err(error) => (Some(format!("`sh` cannot be started: {error}")), String::new()),
        };
        BuildResult { failure, output, took: began.elapsed() }
    }

    async fn run(&self) -> std::io::Result<(Option<String>, String)> {
        let mut child = Command::new("sh")
            .args(["-c", &self.command])
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let _killed_if_given_up = Group(group);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let tail = std::sync::Mutex::new(Tail::default());
        let read = async |stream: Option<Box<dyn AsyncRead + Send + Unpin>>| {
            let Some(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await;
                if !matches!(read, Ok(1..)) {
                    return;
                }
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                tail.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
            }
        };
        let (status, ()) = tokio::join!(child.wait(), async {
            tokio::join!(read(stdout.map(|it| Box::new(it) as _)), read(stderr.map(|it| Box::new(it) as _)));
        });
        let status = status?;
        let failure = (!status.success()).then(|| match status.code() {
            Some(code) => format!("it ended with exit code {code}"),
            None => "a signal ended it".to_owned(),
        });
        let output = tail.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).text();
        Ok((failure, output))
    }

    /// What the sources are now.
    #[must_use]
    pub fn sources_now(&self) -> SourceStamps {
        let mut stamps = Stamps::new();
        let made: Vec<_> = self.made.iter().filter_map(|path| path.canonicalize().ok()).collect();
        for source in &self.sources {
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
        if self.sources.is_empty() {
            std::future::pending::<()>().await;
        }
        let mut last = None;
        loop {
            sleep(LOOK_PAUSE).await;
            let builder = self.clone();
            let looked = tokio::task::spawn_blocking(move || builder.sources_now()).await;
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

/// A group of processes that ends with this value.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody is left in it after a build that ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn builder(directory: &Path, command: &str, sources: &[&str]) -> Builder {
        let sources = sources.iter().map(|it| (*it).to_owned()).collect();
        Builder { command: command.into(), directory: directory.to_owned(), sources, made: Vec::new() }
    }

    #[tokio::test]
    async fn a_build_runs_in_its_directory_and_says_how_it_failed() {
        let directory = tempfile::tempdir().unwrap();
        let made = builder(directory.path(), "echo out; echo err >&2; touch made", &[]).build().await;
        assert_eq!(made.failure, None);
        assert!(made.output.contains("out\n") && made.output.contains("err\n"), "{made:?}");
        assert!(directory.path().join("made").exists());
        let failed = builder(directory.path(), "echo 'error: no such thing' >&2; exit 7", &[]).build().await;
        assert_eq!(failed.failure.as_deref(), Some("it ended with exit code 7"));
        assert_eq!(failed.output, "error: no such thing\n");
    }

    #[tokio::test]
    async fn a_build_that_is_given_up_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let building = builder(directory.path(), "sleep 600 & echo $! > pid; wait", &[]);
        let task = tokio::spawn(async move { building.build().await });
        let file = directory.path().join("pid");
        let pid = loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) {
                break pid;
            }
            sleep(Duration::from_millis(10)).await;
        };
        task.abort();
        let _ = task.await;
        let gone = || rustix::process::test_kill_process(pid).is_err() || is_zombie(pid);
        tokio::time::timeout(Duration::from_secs(10), async {
            while !gone() {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
    }

    /// A process that has ended, and that nobody has waited for.
    fn is_zombie(pid: Pid) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
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
        let found =
            builder(directory.path(), "", &["Cargo.toml", "src", "wit/**/*.wit", "none"]).sources_now();
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
        let mut all = builder(directory.path(), "", &["."]);
        all.made = ["deep/../order.wasm", "queues", "none"].map(|it| directory.path().join(it)).into();
        let found = all.sources_now();
        let names: Vec<_> = found.0.keys().map(|it| it.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.rs", "order.wasm"]);
        assert!(found.0.keys().next_back().unwrap().parent().unwrap().ends_with("deep"));
    }

    #[tokio::test]
    async fn a_source_that_was_written_or_removed_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.rs");
        fs::write(&file, "1").unwrap();
        let watched = builder(directory.path(), "", &["*.rs"]);
        let first = watched.sources_now();
        assert_eq!(watched.sources_now(), first);
        fs::write(&file, "22").unwrap();
        let second = watched.changed(&first).await;
        assert_ne!(first, second);
        fs::remove_file(&file).unwrap();
        assert_eq!(watched.changed(&second).await, SourceStamps::default());
    }
}
