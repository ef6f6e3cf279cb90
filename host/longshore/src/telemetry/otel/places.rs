//! What threads have beside each other, so that none waits for another one's processor.
//!
//! A lock or a count that two processors write in turns moves between them each time. That takes
//! longer than what a message does with it.

use std::array::from_fn;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many there are. More threads than that share some.
const PLACES: usize = 8;

/// A place for each thread.
#[derive(Debug)]
pub(super) struct Places<T>([Apart<T>; PLACES]);

impl<T> Places<T> {
    /// Places with what this makes.
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        Self(from_fn(|_| Apart(make())))
    }

    /// That of this thread.
    pub(super) fn here(&self) -> &T {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static PLACE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PLACES;
        }
        &self.0[PLACE.with(|place| *place)]
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(Deref::deref)
    }
}

/// Something in lines of memory of its own. Processors fetch them in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::thread;

    use super::*;

    #[test]
    fn threads_have_places_apart_and_what_is_in_them_is_found_whoever_looks() {
        let places = Places::new(Mutex::<Vec<usize>>::default);
        thread::scope(|scope| {
            for thread in 0..3 * PLACES {
                let places = &places;
                scope.spawn(move || places.here().lock().unwrap().push(thread));
            }
        });
        let all: BTreeSet<_> = places.iter().flat_map(|it| it.lock().unwrap().clone()).collect();
        assert_eq!(all, (0..3 * PLACES).collect());
        assert!(places.iter().all(|it| it.lock().unwrap().len() < 3 * PLACES));
    }
}
