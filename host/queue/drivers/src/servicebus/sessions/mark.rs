//! What a run notes in the state of a session while it holds it.
//!
//! The service counts no delivery when a link ends with its message in hand, as it does when a
//! process is killed. A message that kills its host would come for ever. So a session that is held
//! carries a mark in its state, and who holds it takes the mark away when it leaves. A mark that is
//! found was left behind by a crash: it counts as an attempt of the message that comes first. From
//! then on the mark names that message, so that its crashes are counted exactly.
//!
//! The mark also says which message has set the state. Completing that message is another call, and
//! a host may die in between. Then the message comes again, and is completed without being handled.
//!
//! The mark stands before the state that handlers and other clients have set, whose bytes are never
//! changed. A session that nobody holds has that state and no mark, as other clients expect.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How a state begins that has a mark; behind it stands the mark as one line of JSON.
const MAGIC: &[u8] = b"longshore-session/1 ";
/// The largest state that every tier takes, in bytes: 256 KiB, less what the request carries beside
/// it ([quotas](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas)).
const MAX_STATE: usize = 255 << 10;

/// What is noted of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::servicebus) struct Mark {
    /// Somebody holds the session, or did and has not left it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::servicebus) open: bool,
    /// The message that was first when a mark was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::servicebus) suspect: Option<Suspect>,
    /// The message that was poisoned, after which the session is to stand still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::servicebus) stopped: Option<i64>,
    /// The message whose handler has set the state, and succeeded: only its completion is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::servicebus) handled: Option<i64>,
    /// Whether there is a state of clients' own behind the mark.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_state: bool,
}

impl Mark {
    /// The mark of a session that is held from now on, and had this one.
    pub(in crate::servicebus) fn held(self) -> Self {
        Self { open: true, ..self }
    }

    fn says_nothing(&self) -> bool {
        *self == Self { has_state: self.has_state, ..Self::default() }
    }

    /// The same when this message has set the state.
    pub(in crate::servicebus) fn set_by(&self, message: Option<i64>) -> Self {
        Self { handled: message, ..self.clone() }
    }
}

/// A message that may be the reason of crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::servicebus) struct Suspect {
    /// Its place in the queue.
    pub(in crate::servicebus) sequence: i64,
    /// How often the service says that it was delivered in vain.
    pub(in crate::servicebus) deliveries: u32,
    /// How often it came again without being counted.
    pub(in crate::servicebus) crashes: u32,
}

impl Suspect {
    /// Who came first in a session whose mark was found, which named `before`. A delivery that the
    /// service has counted meanwhile is not counted twice.
    pub(in crate::servicebus) fn after_crash(before: Option<Self>, sequence: i64, deliveries: u32) -> Self {
        let crashes = match before.filter(|it| it.sequence == sequence) {
            Some(known) => known.crashes.saturating_add(u32::from(deliveries <= known.deliveries)),
            // Nobody has noted how often it was delivered before.
            None => u32::from(deliveries == 0),
        };
        Self { sequence, deliveries, crashes }
    }
}

/// A state as the service keeps it: the mark, if there is one, and what clients have set.
pub(in crate::servicebus) fn read(state: Option<Bytes>) -> (Option<Mark>, Option<Bytes>) {
    let Some(bytes) = state else { return (None, None) };
    let Some(rest) = bytes.strip_prefix(MAGIC) else { return (None, Some(bytes)) };
    let Some(end) = memchr::memchr(b'\n', rest) else { return (None, Some(bytes)) };
    let Ok(mark) = serde_json::from_slice::<Mark>(&rest[..end]) else { return (None, Some(bytes)) };
    let behind = bytes.slice(MAGIC.len() + end + 1..);
    // Nobody here writes that: it is somebody else's state.
    if !mark.has_state && !behind.is_empty() {
        return (None, Some(bytes));
    }
    let state = mark.has_state.then_some(behind);
    (Some(mark), state)
}

/// The same the other way round. What looks like a mark itself gets one that says nothing, so that
/// it is found again.
pub(in crate::servicebus) fn write(mark: &Mark, state: Option<&Bytes>) -> Option<Bytes> {
    let looks_like_mark = || read(state.cloned()).0.is_some();
    if mark.says_nothing() && !looks_like_mark() {
        return state.cloned();
    }
    let mark = Mark { has_state: state.is_some(), ..mark.clone() };
    // Numbers and truths: there is nothing in it that JSON could not say.
    let line = serde_json::to_vec(&mark).unwrap_or_default();
    Some([MAGIC, &line, b"\n", state.map(|it| &it[..]).unwrap_or_default()].concat().into())
}

/// Whether a state leaves no room for a mark.
pub(in crate::servicebus) fn has_no_room(state: Option<&Bytes>, with_mark: Option<&Bytes>) -> bool {
    state.is_some_and(|it| it.len() <= MAX_STATE) && with_mark.is_some_and(|it| it.len() > MAX_STATE)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_there_again_when_the_mark_is_gone() {
        let open = Mark { open: true, ..Mark::default() };
        for state in [None, Some(Bytes::new()), Some(Bytes::from_static(b"seen 1\nand 2"))] {
            let (mark, kept) = read(write(&open, state.as_ref()));
            assert!(mark.is_some_and(|it| it.open), "{state:?}");
            assert_eq!(kept, state);
            assert_eq!(write(&Mark::default(), kept.as_ref()), state);
        }
        for foreign in
            [&b"longshore-session/1 {}"[..], b"longshore-session/1 {}\na", b"longshore-session/1 x\na"]
        {
            let foreign = Some(Bytes::from_static(foreign));
            assert_eq!(read(foreign.clone()), (None, foreign.clone()));
            assert_eq!(write(&Mark::default(), foreign.as_ref()), foreign, "it stays as it is");
        }
    }

    #[test]
    fn a_state_that_looks_like_a_mark_is_found_again_as_it_was() {
        let open = Mark { open: true, ..Mark::default() };
        let state = write(&open, Some(&Bytes::from_static(b"seen 1")));
        let kept = write(&Mark::default(), state.as_ref());
        assert_eq!(read(kept.clone()).1, state);
        assert!(read(kept).0.is_some_and(|it| it == Mark { has_state: true, ..Mark::default() }));
    }

    #[test]
    fn a_mark_is_left_out_where_only_the_state_has_room() {
        let open = Mark { open: true, ..Mark::default() };
        let of = |bytes: usize| {
            let state = Some(Bytes::from(vec![b'x'; bytes]));
            has_no_room(state.as_ref(), write(&open, state.as_ref()).as_ref())
        };
        assert_eq!([0, MAX_STATE - 1000, MAX_STATE, MAX_STATE + 1].map(of), [false, false, true, false]);
        assert!(!has_no_room(None, write(&open, None).as_ref()));
    }

    #[test]
    fn a_crash_counts_unless_the_service_has_counted_it() {
        let first = Suspect::after_crash(None, 7, 0);
        assert_eq!(first, Suspect { sequence: 7, deliveries: 0, crashes: 1 });
        let second = Suspect::after_crash(Some(first), 7, 0);
        assert_eq!(second.crashes, 2);
        // Its lock ran out meanwhile.
        assert_eq!(
            Suspect::after_crash(Some(second), 7, 1),
            Suspect { sequence: 7, deliveries: 1, crashes: 2 }
        );
        assert_eq!(Suspect::after_crash(Some(second), 8, 0).crashes, 1, "another message");
        assert_eq!(
            Suspect::after_crash(None, 7, 3).crashes,
            0,
            "it failed before, and may have been counted"
        );
    }
}
