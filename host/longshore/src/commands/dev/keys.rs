//! Keys of a terminal, as they are pressed.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal as SignalNumber, getpgrp, getpid, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::burst::{Burst, DevKey};
use crate::unread::is_ready;

/// So long nothing comes after a key that was pressed. What a terminal sends by itself, and what is
/// pasted, comes faster.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 25_000_000 };
/// How often a process in the background looks whether it is in the foreground again.
const IN_BACKGROUND: Duration = Duration::from_millis(200);
/// Has a terminal say where pasted text begins and ends, and not (xterm's mode 2004).
const MARK_PASTES: &[u8] = b"\x1b[?2004h";
const MARK_NO_PASTES: &[u8] = b"\x1b[?2004l";

/// A terminal that hands on each key at once and shows none. It is as it was when this is dropped,
/// and while this process is stopped.
pub(super) struct DevKeys {
    before: Termios,
    suspend: Signal,
    resume: Signal,
}

/// What a shell asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobControl {
    /// Ctrl-Z was pressed.
    Suspend,
    /// The process goes on, in the foreground or not.
    Resume,
}

impl DevKeys {
    /// Listens to the terminal that this program has in the foreground; `None` where there is none.
    pub(super) fn listen() -> Option<(Self, mpsc::Receiver<DevKey>)> {
        let (input, is_seen) = (io::stdin(), io::stderr().is_terminal() && io::stdout().is_terminal());
        if !input.is_terminal() || !is_seen {
            return None;
        }
        // Whoever changes a terminal from the background is stopped by it.
        if !is_in_foreground() {
            return None;
        }
        let number = |it: SignalNumber| signal(SignalKind::from_raw(it.as_raw())).ok();
        let (suspend, resume) = (number(SignalNumber::TSTP)?, number(SignalNumber::CONT)?);
        let keys = Self { before: tcgetattr(&input).ok()?, suspend, resume };
        keys.take_terminal();
        let (pressed, received) = mpsc::channel(8);
        // A thread of its own: it waits for a key until the process ends.
        std::thread::spawn(move || read(&pressed));
        Some((keys, received))
    }

    /// The next thing that a shell asks for.
    pub(super) async fn asked(&mut self) -> JobControl {
        tokio::select! {
            _ = self.suspend.recv() => JobControl::Suspend,
            _ = self.resume.recv() => JobControl::Resume,
        }
    }

    /// Does it. This process is stopped meanwhile, and its executions are not.
    pub(super) fn obey(&self, asked: JobControl) {
        match asked {
            JobControl::Suspend => {
                self.give_terminal_back();
                // SIGTSTP is caught, and would not stop it.
                let _ = kill_process(getpid(), SignalNumber::STOP);
            }
            JobControl::Resume => self.take_terminal(),
        }
    }

    /// Each key is handed on at once. In the background the terminal is somebody else's.
    fn take_terminal(&self) {
        if !is_in_foreground() {
            return;
        }
        let mut attributes = self.before.clone();
        // Ctrl-C and Ctrl-Z stay what they are.
        attributes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        attributes.special_codes[SpecialCodeIndex::VMIN] = 1;
        attributes.special_codes[SpecialCodeIndex::VTIME] = 0;
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &attributes);
        let _ = io::stderr().write_all(MARK_PASTES);
    }

    fn give_terminal_back(&self) {
        if is_in_foreground() {
            if is_ready(io::stderr(), Duration::ZERO) {
                let _ = io::stderr().write_all(MARK_NO_PASTES);
            }
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

impl Drop for DevKeys {
    fn drop(&mut self) {
        self.give_terminal_back();
    }
}

/// Whether the terminal is this program's own now.
pub(super) fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// Hands on keys until the terminal or the receiver is gone.
fn read(pressed: &mpsc::Sender<DevKey>) {
    let mut burst = Burst::default();
    while is_there(None) {
        if !is_in_foreground() {
            // What is typed now is a shell's, and reading it would stop this process.
            std::thread::sleep(IN_BACKGROUND);
            continue;
        }
        burst.begin();
        loop {
            let mut bytes = [0; 1024];
            match rustix::io::read(io::stdin(), &mut bytes) {
                Ok(1..) if pressed.is_closed() => return,
                Ok(count @ 1..) => burst.take(&bytes[..count]),
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(_) => return,
            }
            if !is_there(Some(&QUIET)) {
                break;
            }
        }
        if let Some(key) = burst.key()
            && pressed.blocking_send(key).is_err()
        {
            return;
        }
    }
}

/// Whether something can be read, now or after a while. Where a terminal cannot be asked, as with
/// some of macOS, whoever reads waits, and nothing follows.
fn is_there(patience: Option<&Timespec>) -> bool {
    let input = io::stdin();
    let mut asked = [PollFd::new(&input, PollFlags::IN)];
    loop {
        match poll(&mut asked, patience) {
            Ok(_) if asked[0].revents().contains(PollFlags::NVAL) => return patience.is_none(),
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return patience.is_none(),
        }
    }
}
