//! Attacks each verb of a protocol with each answer, and judges how it ends.

use std::path::Path;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use longshore_testkit::certificates;
use longshore_testkit::guest;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::program::{Ended, Program};
use longshore_testkit::wait::slack;
use tempfile::TempDir;

use crate::hostile::answers::{Absurd, Hostile, absurd, common};
use crate::hostile::peer::Peer;

/// A secret in every environment of these tests.
const SECRET: &str = "swordfish7";
/// How many programs run at once, of all protocols. Most of them wait.
const AT_ONCE: usize = 48;
/// What a verb may take: two of the longest calls, which have 70 s in Resource Manager for what is
/// not repeated, and half a minute of asking again.
const LONGEST: Duration = Duration::from_secs(75);
/// What a verb may take of memory, in bytes. Answers have 4 MiB at most, and `run` has a compiler.
const MOST_MEMORY: u64 = 256 << 20;

/// One command line.
pub struct Verb {
    pub args: &'static [&'static str],
}

/// Puts the peer at a URL where the program looks for it.
type Place = dyn Fn(&str, &mut Program) + Sync;

/// What is attacked.
pub struct Protocol {
    pub name: &'static str,
    pub verbs: Vec<Verb>,
    pub place: Box<Place>,
    /// What errors name.
    pub thing: fn(&str) -> String,
    /// Answers that are as they should be for a verb, by a word of it.
    pub fine: &'static [(&'static str, &'static str)],
    /// Answers that are absurd in this protocol alone.
    pub absurd: &'static [Absurd],
}

/// Attacks each verb with each answer, many at once.
pub fn attack(protocol: &Protocol) {
    warm();
    let answers: Vec<(&str, Hostile)> = common().into_iter().chain(absurd(protocol.absurd)).collect();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|all| {
        for verb in &protocol.verbs {
            for (name, answer) in &answers {
                let wrong = &wrong;
                all.spawn(move || {
                    let _turn = Turn::take();
                    if let Err(what) = one(protocol, verb, name, answer) {
                        let case = format!("{} {:?} against {name}: {what}", protocol.name, verb.args);
                        wrong.lock().unwrap().push(case);
                    }
                });
            }
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        protocol.verbs.len() * answers.len(),
        wrong.join("\n")
    );
}

fn one(protocol: &Protocol, verb: &Verb, name: &str, answer: &Hostile) -> Result<(), String> {
    let witness = Peer::start(Hostile::Bytes(Vec::new()), "");
    let peer = Peer::start(answer.clone(), &witness.url);
    let mut program = program(verb.args);
    (protocol.place)(&peer.url, &mut program);
    let started = Instant::now();
    let mut process = program.start();
    let mut peak = 0;
    let ended = loop {
        peak = peak.max(process.peak_memory().unwrap_or_default());
        if let Some(ended) = process.ended() {
            break ended;
        }
        if started.elapsed() > slack(2 * LONGEST) {
            return Err(format!("it does not end: {}", process.kill().stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let thing = (protocol.thing)(&peer.url);
    let is_fine = protocol.fine.iter().any(|(word, fine)| verb.args.contains(word) && *fine == name);
    judge(verb, is_fine, &ended, &thing, peak)
        .map_err(|what| format!("{what} after {:?}: {ended:?}", ended.took))?;
    if peer.calls() == 0 {
        return Err("it never called".into());
    }
    if witness.calls() > 0 {
        return Err("it followed a redirect".into());
    }
    Ok(())
}

/// How it ended, against how it should.
fn judge(verb: &Verb, is_fine: bool, ended: &Ended, thing: &str, peak: u64) -> Result<(), String> {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let fail = |what: &str| Err(what.to_owned());
    if ended.status.code().is_none()
        || ended.stderr.lines().any(|it| !it.starts_with('{') && it.contains("panicked at"))
    {
        return fail("it was killed or panicked");
    }
    if ended.took > slack(LONGEST) {
        return fail("it took too long");
    }
    if peak > MOST_MEMORY {
        return Err(format!("it took {} MiB", peak >> 20));
    }
    if said.contains(SECRET) || said.contains(HEADER) {
        return fail("it tells a secret");
    }
    if said.chars().any(|it| it != '\n' && (it.is_control() || it == '\u{202e}')) {
        return fail("it writes control characters");
    }
    let errors: Vec<&str> = ended.stderr.lines().filter(|it| it.starts_with("longshore: ")).collect();
    // What `check` cannot learn of a queue is a finding, and no fault.
    if verb.args == ["check"] && errors.is_empty() {
        let finds = ended.stdout.lines().any(|it| it.contains(thing) && !it.contains("\"yes\""));
        return if finds { Ok(()) } else { fail("it finds nothing") };
    }
    if is_fine {
        return if ended.code() == 0 { Ok(()) } else { fail("it should end with 0") };
    }
    if ended.code() != 3 {
        return fail("it should end with 3");
    }
    let [error] = errors[..] else { return fail("it should say one error") };
    if !error.contains(thing) {
        return Err(format!("its error does not name `{thing}`"));
    }
    // A cause, and behind it what to do or to look at.
    let mend = error.rsplit_once("; ").map_or(error, |(_, mend)| mend);
    let is_mend = ["?", "try again", "do it again", "job list` tells", "change", "look", "ask for"]
        .iter()
        .any(|it| mend.contains(it));
    if !is_mend {
        return fail("its error says no mend");
    }
    if error.len() > 1500 {
        return fail("its error is long");
    }
    Ok(())
}

/// The program, with an identity and nothing to wait for.
fn program(args: &[&str]) -> Program {
    static PLATFORM: OnceLock<(Identity, TempDir, std::path::PathBuf)> = OnceLock::new();
    let (identity, _, authority) = PLATFORM.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let authority = certificates::make(directory.path(), "IP:127.0.0.1");
        (Identity::start(Mood::Tokens(3600)), directory, authority)
    });
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), home);
    program
        .behind_a_dead_proxy()
        .args(args)
        .env("LONGSHORE_CACHE_DIR", home.join("compiled"))
        .env("LONGSHORE_OUTPUT", "json")
        .env("SSL_CERT_FILE", authority)
        .env("AZURE_CLIENT_ID", CLIENT_ID);
    if args[0] == "run" {
        program.arg("--component").arg(guest::order());
    }
    if args[0] == "job" || args.contains(&"--job") {
        program.env("IDENTITY_ENDPOINT", &identity.url).env("IDENTITY_HEADER", HEADER);
    }
    program
}

/// Compiles the component once, before many want it.
fn warm() {
    static WARM: OnceLock<()> = OnceLock::new();
    WARM.get_or_init(|| {
        let mut invoke = program(&["invoke", r#"{"order_id":"o-1","msg":"ok"}"#]);
        invoke.arg("--component").arg(guest::order()).run().succeeded();
    });
}

/// One of [`AT_ONCE`] turns.
struct Turn;

static TAKEN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

impl Turn {
    fn take() -> Self {
        let mut taken = TAKEN.1.wait_while(TAKEN.0.lock().unwrap(), |taken| *taken >= AT_ONCE).unwrap();
        *taken += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.0.lock().unwrap() -= 1;
        TAKEN.1.notify_one();
    }
}
