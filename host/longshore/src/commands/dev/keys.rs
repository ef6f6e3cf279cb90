//! DevKeys of a terminal, as they are pressed.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use tokio::sync::mpsc;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DevKey {
    /// A sample is sent.
    Send,
    /// All poison messages go back to their queue.
    Redrive,
    /// The page is opened.
    Open,
    /// Everything ends.
    Quit,
}

impl DevKey {
    fn of(byte: u8) -> Option<Self> {
        match byte.to_ascii_lowercase() {
            b's' => Some(Self::Send),
            b'r' => Some(Self::Redrive),
            b'o' => Some(Self::Open),
            b'q' => Some(Self::Quit),
            _ => None,
        }
    }
}

/// A terminal that hands on each key at once and shows none. It is as it was when this is dropped.
pub(super) struct DevKeys {
    before: Termios,
}

impl DevKeys {
    /// Listens to the terminal that this program has in the foreground; `None` where there is none.
    pub(super) fn listen() -> Option<(Self, mpsc::Receiver<DevKey>)> {
        let (input, is_seen) = (io::stdin(), io::stderr().is_terminal() && io::stdout().is_terminal());
        if !input.is_terminal() || !is_seen {
            return None;
        }
        // Whoever changes a terminal from the background is stopped by it.
        if tcgetpgrp(&input).ok()? != rustix::process::getpgrp() {
            return None;
        }
        let before = tcgetattr(&input).ok()?;
        let mut attributes = before.clone();
        // Ctrl-C and Ctrl-Z stay what they are.
        attributes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        attributes.special_codes[SpecialCodeIndex::VMIN] = 1;
        attributes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&input, OptionalActions::Now, &attributes).ok()?;
        let (pressed, keys) = mpsc::channel(8);
        // A thread of its own: it waits for a key until the process ends.
        std::thread::spawn(move || {
            let mut byte = [0];
            while matches!(io::stdin().read(&mut byte), Ok(1)) {
                let Some(key) = DevKey::of(byte[0]) else { continue };
                if pressed.blocking_send(key).is_err() {
                    return;
                }
            }
        });
        Some((Self { before }, keys))
    }
}

impl Drop for DevKeys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::DevKey;

    #[test]
    fn four_keys_mean_something_in_either_case() {
        let keys: Vec<_> = b"sRoQx\x1b".iter().map(|byte| DevKey::of(*byte)).collect();
        assert_eq!(
            keys,
            [Some(DevKey::Send), Some(DevKey::Redrive), Some(DevKey::Open), Some(DevKey::Quit), None, None]
        );
    }
}
