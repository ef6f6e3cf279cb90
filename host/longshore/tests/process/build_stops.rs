//! What `[build] command` has started ends with the build, and with the process that runs it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Process, Program, cache};
use crate::project_folder::ProjectFolder;
use longshore_testkit::wait::{slack, until};
use longshore_testkit::wat;

/// How much longer than it has to a process may take, on a machine at rest.
const SLACK: Duration = Duration::from_secs(2);
/// How long a build may go on after a first signal.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// A build that hears no SIGTERM, and writes the id of a process that it has started.
const DEAF: &str = "trap \"\" TERM HUP; sh -c \"echo \\$\\$ > pid; exec sleep 600\"; sleep 600";

/// A project that is built by this command.
struct Project(ProjectFolder);

impl Project {
    fn built_by(command: &str) -> Self {
        let file = format!(
            "queue = 'file:./queues/orders'\ncomponent = 'handler.wasm'\nstart-delay = '0s'\n\
             [build]\ncommand = '''{command}'''\n"
        );
        let project = Self(ProjectFolder::with(&file));
        fs::write(project.path("handler.wasm"), wat::handler("", "")).unwrap();
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    fn longshore(&self, words: &[&str]) -> Program {
        self.0.longshore(words)
    }

    /// Starts it, and waits until the build has started a process.
    #[track_caller]
    fn building(&self, words: &[&str]) -> (Process, String) {
        self.builds(&mut self.longshore(words))
    }

    #[track_caller]
    fn builds(&self, program: &mut Program) -> (Process, String) {
        let process = program.start();
        let pid = until("the build, to start", || {
            fs::read_to_string(self.path("pid")).ok().filter(|it| it.ends_with('\n'))
        });
        (process, pid.trim().to_owned())
    }
}

/// Waits until a process has ended.
#[track_caller]
fn ends(pid: &str) {
    // Without anybody to wait for it, what has ended stays for a moment as a zombie.
    let status = format!("/proc/{pid}/status");
    until("the end of what a build started", || {
        let status = fs::read_to_string(&status).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    });
}

#[test]
fn a_build_that_hears_no_sigterm_is_killed_after_some_seconds_or_by_a_second_signal() {
    let project = Project::built_by(DEAF);
    let (building, pid) = project.building(&["build"]);
    let asked = Instant::now();
    building.terminate();
    building.wait().ends_with(1).says(&["the build was stopped by SIGTERM"]);
    let took = asked.elapsed();
    assert!(took >= STOP_LIMIT && took < STOP_LIMIT + slack(SLACK), "it took {took:?}");
    ends(&pid);

    fs::remove_file(project.path("pid")).unwrap();
    let (mut building, pid) = project.building(&["build"]);
    building.terminate();
    std::thread::sleep(Duration::from_millis(300));
    assert!(building.ended().is_none(), "the first signal leaves it some time");
    let asked = Instant::now();
    building.terminate();
    building.wait().ends_with(1).says(&["the build was stopped by SIGTERM"]);
    assert!(asked.elapsed() < slack(SLACK), "it took {:?}", asked.elapsed());
    ends(&pid);
}

#[test]
fn a_build_ends_with_the_process_that_is_killed_or_whose_terminal_is_closed() {
    for words in [&["build"][..], &["dev"][..]] {
        let project = Project::built_by(DEAF);
        let (killed, pid) = project.building(words);
        assert!(killed.kill().was_killed());
        ends(&pid);

        fs::remove_file(project.path("pid")).unwrap();
        // The tests themselves may run under `nohup`, which a program inherits.
        let mut program = Program::new("env", Path::new(env!("CARGO_TARGET_TMPDIR")));
        program.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_longshore")]).args(words);
        let (hung_up, pid) = project.builds(program.current_dir(project.0.directory()));
        hung_up.hang_up();
        let code = if words == ["dev"] { 0 } else { 1 };
        hung_up.wait().ends_with(code).never_panicked();
        ends(&pid);
    }
}

#[test]
fn a_process_under_nohup_goes_on_when_its_terminal_is_closed() {
    let project = Project::built_by("echo $$ > pid; sleep 1; echo built");
    let mut program = Program::new("sh", Path::new(env!("CARGO_TARGET_TMPDIR")));
    program.args(["-c", "trap '' HUP; exec \"$0\" build", env!("CARGO_BIN_EXE_longshore")]);
    let (building, _) = project.builds(program.current_dir(project.0.directory()));
    building.hang_up();
    let ended = building.wait().succeeded();
    assert!(ended.stdout.contains("built"), "{ended:?}");
}

#[test]
fn what_a_build_leaves_in_the_background_holds_up_nothing_and_is_ended() {
    let project = Project::built_by("sleep 600 & echo $! > pid; echo built >&2");
    for words in [&["build"][..], &["dev", "--once", "--output=json"][..]] {
        let mut program = project.longshore(words);
        if words[0] == "dev" {
            program.arg("--cache-dir").arg(cache());
        }
        let ended = program.run().succeeded();
        ends(fs::read_to_string(project.path("pid")).unwrap().trim());
        if words[0] == "dev" {
            let events: Vec<Value> = ended.json_lines();
            let built = events.iter().find(|it| it["event"] == "built").unwrap();
            assert!(built["took_ms"].as_u64().unwrap() >= 1000, "its output is read on: {built}");
        }
    }
}

#[test]
fn a_dev_whose_queue_does_not_answer_hears_a_stop() {
    let project = Project::built_by("true");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let queue = format!("http://{}/devstoreaccount1/orders?sig=c2ln", listener.local_addr().unwrap());
    let dev = project.longshore(&["dev", "--queue", &queue]).start();
    // It is connected, and waits for an answer.
    listener.set_nonblocking(true).unwrap();
    let connection = until("a call of the queue", || listener.accept().ok());
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    dev.terminate();
    dev.wait().succeeded();
    assert!(asked.elapsed() < slack(SLACK), "it took {:?}", asked.elapsed());
    drop(connection);
}
