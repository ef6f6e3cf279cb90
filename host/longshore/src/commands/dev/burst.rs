//! What comes from a terminal at once: a key that a person pressed, or anything else.

/// What a terminal writes before and after pasted text (xterm's mode 2004).
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DevKey {
    /// A sample is sent.
    Send,
    /// All poison messages are to go back to their queue: that is asked about.
    Redrive,
    /// The answer to a question is yes.
    Yes,
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
            b'y' => Some(Self::Yes),
            b'o' => Some(Self::Open),
            b'q' => Some(Self::Quit),
            _ => None,
        }
    }
}

/// Where a sequence of control (ECMA-48) is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sequence {
    #[default]
    None,
    /// Its first byte has come, or a person has pressed Escape.
    Escape,
    /// It lasts until a letter, or a sign like one (`CSI`).
    Control,
    /// It has one byte more (`SS3`).
    Shift,
}

impl Sequence {
    /// Where it is after a byte.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (_, 0x1b) => Self::Escape,
            (Self::Escape, b'[') => Self::Control,
            (Self::Escape, b'O') => Self::Shift,
            (Self::Control, 0x20..=0x3f) => Self::Control,
            _ => Self::None,
        }
    }
}

/// Bytes without a pause between them. Only one that comes alone is a key: arrow keys, mouse and
/// focus events are sequences of several, and pasted text has many. A slow line has pauses within
/// them: a sequence that has begun goes on after one, and a paste is marked at both ends.
#[derive(Debug, Default)]
pub(super) struct Burst {
    bytes: usize,
    last: u8,
    sequence: Sequence,
    /// Whether some of it belongs to a sequence.
    has_sequence: bool,
    is_in_paste: bool,
    /// How much of the mark that is awaited next has come.
    of_mark: usize,
    /// Whether some of it was pasted.
    has_paste: bool,
}

impl Burst {
    /// A pause is over.
    pub(super) fn begin(&mut self) {
        (self.bytes, self.has_paste, self.has_sequence) = (0, self.is_in_paste, false);
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, read: &[u8]) {
        for byte in read {
            self.bytes = self.bytes.saturating_add(1);
            self.last = *byte;
            let before = self.sequence;
            self.sequence = before.after(*byte);
            self.has_sequence |= matches!(before, Sequence::Control | Sequence::Shift);
            self.has_sequence |= matches!(self.sequence, Sequence::Control | Sequence::Shift);
            let mark = if self.is_in_paste { PASTE_ENDS } else { PASTE_BEGINS };
            if *byte != mark[self.of_mark] {
                // Only its first byte begins a mark.
                self.of_mark = usize::from(*byte == mark[0]);
                continue;
            }
            self.of_mark += 1;
            if self.of_mark == mark.len() {
                (self.is_in_paste, self.of_mark, self.has_paste) = (!self.is_in_paste, 0, true);
            }
        }
    }

    /// The key that it is, if it is one.
    pub(super) fn key(&self) -> Option<DevKey> {
        let is_alone = self.bytes == 1 && !self.has_paste && !self.has_sequence;
        is_alone.then(|| DevKey::of(self.last)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys that these reads are, with a pause between each two bursts.
    fn keys(bursts: &[&[&[u8]]]) -> Vec<DevKey> {
        let mut burst = Burst::default();
        let key = |reads: &&[&[u8]]| {
            burst.begin();
            reads.iter().for_each(|read| burst.take(read));
            burst.key()
        };
        bursts.iter().filter_map(key).collect()
    }

    #[test]
    fn a_byte_that_comes_alone_is_a_key_in_either_case() {
        let pressed = b"sRoQyx\x1b".map(|byte| [byte]);
        let expected = [DevKey::Send, DevKey::Redrive, DevKey::Open, DevKey::Quit, DevKey::Yes];
        let bursts = pressed.each_ref().map(|byte| [&byte[..]]);
        assert_eq!(keys(&bursts.each_ref().map(|it| &it[..])), expected);
    }

    #[test]
    fn what_a_terminal_sends_by_itself_and_what_is_pasted_is_no_key() {
        for bursts in [
            // An arrow key, as one read and as three.
            &[&[&b"\x1b[A"[..]][..]][..],
            &[&[b"\x1b", b"[", b"q"]],
            // A focus event, and a terminal's answer to a question that was asked before.
            &[&[b"\x1b[I"], &[b"\x1b]11;rgb:0000/0000/0000\x1b\\"]],
            // Keys with modifiers over a slow line, each byte after a pause.
            &[&[b"\x1b[1;5"], &[b"q"]],
            &[&[b"\x1b"], &[b"["], &[b"1"], &[b"s"]],
            &[&[b"\x1b"], &[b"O"], &[b"s"]],
            // Text that a terminal does not mark.
            &[&[b"squirrel"], &[b"q", b"s"]],
            // Marked text with a pause before its last letter, and in the middle of the mark.
            &[&[b"\x1b[200~please "], &[b"q"], &[b"s"], &[b"\x1b[2"], &[b"01~"]],
            &[&[b"\x1b[200~"], &[b"q"], &[b"\x1b[201", b"~"]],
        ] {
            assert_eq!(keys(bursts), [], "{bursts:?}");
        }
        let after: &[&[&[u8]]] = &[&[b"\x1b[200~q\x1b[201~"], &[b"q"]];
        assert_eq!(keys(after), [DevKey::Quit], "a paste that has ended");
        let after: &[&[&[u8]]] = &[&[b"\x1b"], &[b"q"], &[b"\x1b[A"], &[b"y"]];
        assert_eq!(keys(after), [DevKey::Quit, DevKey::Yes], "Escape alone, and a sequence that has ended");
    }
}
