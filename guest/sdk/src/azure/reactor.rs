//! Who waits for what: futures wait for resources of the host (`wasi:io/poll`), and [`wait`] wakes
//! those whose time has come.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use wasip2::io::poll::{self, Pollable};

/// What is waited for, by the number that its future has.
struct Waiting {
    pollable: Pollable,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Reactor {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

thread_local! {
    /// A component has one thread.
    static REACTOR: RefCell<Reactor> = RefCell::default();
}

/// Is ready when the host's resource is. The pollable goes with this future, which therefore has to
/// go before the resource that it belongs to: a host traps otherwise.
pub(super) struct Ready(u64);

/// Waits until the host's resource is ready.
pub(super) fn ready(pollable: Pollable) -> Ready {
    REACTOR.with_borrow_mut(|reactor| {
        reactor.next += 1;
        reactor.waiting.insert(reactor.next, Waiting { pollable, waker: None });
        Ready(reactor.next)
    })
}

impl Future for Ready {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        REACTOR.with_borrow_mut(|reactor| match reactor.waiting.get_mut(&self.0) {
            Some(it) if !it.pollable.ready() => {
                it.waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        REACTOR.with_borrow_mut(|reactor| reactor.waiting.remove(&self.0));
    }
}

/// Sleeps until something is ready that a future waits for, and wakes its future.
///
/// # Panics
/// If no future waits for anything, since this one would then wait for ever.
pub(super) fn wait() {
    let woken: Vec<Waker> = REACTOR.with_borrow_mut(|reactor| {
        let waiting = || reactor.waiting.iter().filter(|(_, it)| it.waker.is_some());
        let numbers: Vec<u64> = waiting().map(|(number, _)| *number).collect();
        let pollables: Vec<&Pollable> = waiting().map(|(_, it)| &it.pollable).collect();
        assert!(!pollables.is_empty(), "this future waits for nothing that the host offers");
        let ready = poll::poll(&pollables);
        let of = |index: u32| numbers.get(usize::try_from(index).ok()?);
        let ready: Vec<u64> = ready.into_iter().filter_map(of).copied().collect();
        ready.iter().filter_map(|number| reactor.waiting.get_mut(number)?.waker.take()).collect()
    });
    woken.into_iter().for_each(Waker::wake);
}
