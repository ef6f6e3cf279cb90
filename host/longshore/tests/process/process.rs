//! The binary under test, and where it keeps what it compiled.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longshore_testkit::{guest, sample};

pub(crate) use longshore_testkit::program::{Ended, Process, Program};

/// A directory that outlives the tests. It is the home of the program.
const HOME: &str = env!("CARGO_TARGET_TMPDIR");

/// The binary, with these arguments.
pub(crate) fn longshore<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Program {
    let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), Path::new(HOME));
    program.args(arguments);
    program
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run(program: &mut Program) -> Ended {
    program.run()
}

/// A cache directory that outlives the tests, in which the order component was compiled: what
/// follows starts warm.
pub(crate) fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| warm(&guest::order()))
}

/// The same with another component; to compile one of a scripting language takes half a minute,
/// once.
pub(crate) fn warm(component: &Path) -> PathBuf {
    let directory = Path::new(HOME).join("compiled");
    let mut program = longshore(["invoke", &sample::order("warm", "ok"), "--component"]);
    program.arg(component).arg("--cache-dir").arg(&directory).run().succeeded();
    directory
}
