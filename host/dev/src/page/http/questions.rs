//! What was asked before something is deleted or sent, until it is answered.
//!
//! A yes is an answer to what was asked, and to nothing that came in meanwhile. So the form of a
//! question holds no more than a word that is good once; what it stands for is kept here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::session::secret;
use crate::page::actions::{PoisonSweep, SweepCount};

/// How many questions wait for an answer. The oldest one is forgotten.
const MAX_ASKED: usize = 64;
/// For how long a question waits.
const WAITS: Duration = Duration::from_secs(15 * 60);

/// The questions that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<VecDeque<Asked>>);

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// What a yes does.
    pub(super) sweep: PoisonSweep,
    /// What the question said of it.
    pub(super) foreseen: SweepCount,
    handle: String,
    until: Instant,
}

impl Questions {
    /// Keeps what is asked, and returns the word that a yes has to have.
    pub(super) fn ask(&self, sweep: PoisonSweep, foreseen: SweepCount) -> String {
        let handle = secret();
        let asked = Asked { sweep, foreseen, handle: handle.clone(), until: Instant::now() + WAITS };
        let mut all = self.lock();
        all.push_back(asked);
        while all.len() > MAX_ASKED {
            all.pop_front();
        }
        handle
    }

    /// What was asked with this word. It is good for nothing after that.
    pub(super) fn answered(&self, handle: &str) -> Option<Asked> {
        let mut all = self.lock();
        all.retain(|it| it.until > Instant::now());
        let place = all.iter().position(|it| it.handle == handle)?;
        all.remove(place)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::actions::{ChosenPoison, SweepVerb};

    #[test]
    fn a_question_is_answered_once_and_many_are_forgotten() {
        let questions = Questions::default();
        let sweep = PoisonSweep { verb: SweepVerb::Purge, chosen: ChosenPoison::default() };
        let first = questions.ask(sweep.clone(), SweepCount::default());
        assert!(questions.answered("").is_none() && questions.answered(&first).is_some());
        assert!(questions.answered(&first).is_none());
        let oldest = questions.ask(sweep.clone(), SweepCount::default());
        for _ in 0..MAX_ASKED {
            let _ = questions.ask(sweep.clone(), SweepCount::default());
        }
        assert!(questions.answered(&oldest).is_none());
    }
}
