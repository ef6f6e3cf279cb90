//! Arbitrary bytes as the state of a session, which any client may have written.

use bytes::Bytes;
use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{MAGIC, Mark, Suspect, read, write};

const STATE_TARGET: &str = "session-state";

#[test]
fn whatever_a_state_is_it_stays_and_a_mark_is_told_from_it() {
    let suspect = Suspect { sequence: 7, deliveries: 1, crashes: 2 };
    let mark = Mark { open: true, suspect: Some(suspect), stopped: Some(9), handled: None, has_state: false };
    let written = [None, Some(Bytes::from_static(b"seen 1\nand 2"))].map(|it| write(&mark, it.as_ref()));
    let mut seeds: Vec<_> = written.into_iter().flatten().map(|it| it.to_vec()).collect();
    seeds.push(b"longshore-session/1 {}\nstate".to_vec());
    let words = &[
        "longshore-session/1 ",
        "\n",
        "\"open\":true",
        "\"has_state\":true",
        "\"stopped\":",
        "\"suspect\":{",
        "null",
    ];
    let target = FuzzTarget { name: STATE_TARGET, module: module_path!(), words, seeds };
    feed(&target, |bytes| {
        let given = Bytes::copy_from_slice(bytes);
        let (mark, state) = read(Some(given.clone()));
        let Some(mark) = mark else {
            assert_eq!(state, Some(given), "a state without a mark is the handlers' own");
            return format!("none {}", bytes.starts_with(MAGIC));
        };
        let again = read(write(&mark, state.as_ref()));
        assert_eq!(again.1, state, "a state stays as it was");
        // A session that nobody holds has no mark.
        if !mark.says_nothing() {
            assert_eq!(again.0, Some(mark.clone()));
        }
        format!("{} {} {} {}", mark.open, mark.suspect.is_some(), mark.stopped.is_some(), state.is_some())
    });
}
