//! A developer's login: the tools `az` and `azd`, which are asked for tokens as programs.
//!
//! They take seconds, and much memory. So one of them runs at a time, and none outlives its use:
//! whoever stops waiting ends it, and so does the end of this process, whatever ends that.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use azure_identity::Executor;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a tool may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How much of each of its outputs is read, in bytes.
const MAX_OUTPUT: usize = 64 * 1024;

/// Runs a command, and ends it with everything that it started as soon as standard input ends. That
/// is a pipe whose other end this process holds and never writes to.
const GUARD: &str = r#"
exec 3<&0 0</dev/null
{ read -r _ <&3; kill -s TERM 0; } >/dev/null 2>&1 &
guard=$!
"$@" 3<&-
code=$?
kill "$guard"
exit "$code"
"#;

static TURN: Mutex<()> = Mutex::const_new(());

/// Runs the tools, one at a time.
#[derive(Debug)]
pub(crate) struct OneTool;

#[async_trait::async_trait]
impl Executor for OneTool {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let _turn = TURN.lock().await;
        let silent = |_| io::Error::other(format!("no answer within {} s", LIMIT.as_secs()));
        timeout(LIMIT, guarded(program, args)).await.map_err(silent)?
    }
}

async fn guarded(program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", GUARD, "sh"])
        .arg(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What it starts is ended with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    // Taken out, since waiting for the end would close it. It is closed when this function is left.
    let _held = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(output(stdout), output(stderr))?;
    let status = child.wait().await?;
    Ok(Output { status, stdout, stderr })
}

async fn output(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT as u64 + 1).read_to_end(&mut read).await?;
    }
    if read.len() > MAX_OUTPUT {
        return Err(io::Error::other(format!("it writes more than {MAX_OUTPUT} bytes")));
    }
    Ok(read)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    async fn shell(script: &str) -> io::Result<Output> {
        OneTool.run("/bin/sh".as_ref(), &["-c".as_ref(), script.as_ref()]).await
    }

    /// Whether any process has this text in its command line.
    fn runs(mark: &str) -> bool {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|it| std::fs::read(it.path().join("cmdline")).ok())
            .any(|line| String::from_utf8_lossy(&line).contains(mark))
    }

    #[tokio::test]
    async fn a_tools_output_and_exit_code_are_its_own() {
        let output = shell("echo out; echo err >&2; cat; exit 3").await.unwrap();
        assert_eq!(
            (output.status.code(), &*output.stdout, &*output.stderr),
            (Some(3), &b"out\n"[..], &b"err\n"[..])
        );
        let endless = shell("exec yes").await.unwrap_err();
        assert!(endless.to_string().contains("more than 65536 bytes"), "{endless}");
    }

    #[tokio::test]
    async fn one_tool_runs_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join("lock");
        let script = format!("mkdir {0} || exit 9; sleep 0.2; rmdir {0}", Path::display(&lock));
        let (one, two, three) = tokio::join!(shell(&script), shell(&script), shell(&script));
        for output in [one, two, three] {
            assert_eq!(output.unwrap().status.code(), Some(0), "they ran at once");
        }
    }

    #[tokio::test]
    async fn a_tool_that_nobody_waits_for_any_more_is_ended_with_all_that_it_started() {
        // A number that no other process has.
        let nap = format!("{}.75", 3_000_000 + std::process::id());
        let script = format!("sleep {nap}; echo over");
        assert!(timeout(Duration::from_millis(300), shell(&script)).await.is_err());
        let asked = Instant::now();
        while runs(&nap) {
            assert!(asked.elapsed() < Duration::from_secs(60), "it still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
