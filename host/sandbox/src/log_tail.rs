//! The last lines that a guest wrote for one message, as a poison envelope carries them.

/// The last lines of one attempt, in no more bytes than are asked for.
///
/// Up to twice as many bytes are kept meanwhile: cutting at each line would copy all of them.
#[derive(Debug)]
pub(crate) struct LogTail {
    /// The most bytes that [`LogTail::take`] gives; zero: nothing is kept.
    longest: usize,
    /// Lines, each with its end.
    text: String,
}

impl LogTail {
    /// Nothing yet, and at most `longest` bytes of lines.
    pub(crate) fn new(longest: usize) -> Self {
        Self { longest, text: String::new() }
    }

    /// Adds a text of one line or more, behind what says where it comes from.
    pub(crate) fn add(&mut self, before: &[&str], text: &str) {
        if self.longest == 0 {
            return;
        }
        before.iter().for_each(|part| self.text.push_str(part));
        // No more of it will be kept.
        self.text.push_str(&text[text.ceil_char_boundary(text.len().saturating_sub(self.longest))..]);
        self.text.push('\n');
        if self.text.len() > 2 * self.longest {
            self.cut();
        }
    }

    /// Gives the lines, and forgets them.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.cut();
        std::mem::take(&mut self.text).lines().map(str::to_owned).collect()
    }

    /// Cuts at the beginning of a line, or within the last one where that is too long.
    fn cut(&mut self) {
        let Some(over) = self.text.len().checked_sub(self.longest).filter(|over| *over > 0) else { return };
        let at = self.text.ceil_char_boundary(over);
        let begins = |at: usize| self.text.as_bytes()[at - 1] == b'\n';
        let next = match self.text[at..].find('\n').map(|end| at + end + 1) {
            _ if begins(at) => at,
            Some(next) if next < self.text.len() => next,
            _ => at,
        };
        self.text.drain(..next);
    }
}

#[cfg(test)]
mod tests {
    use super::LogTail;

    fn lines(longest: usize, texts: &[&str]) -> Vec<String> {
        let mut tail = LogTail::new(longest);
        texts.iter().for_each(|text| tail.add(&[], text));
        tail.take()
    }

    #[test]
    fn the_last_whole_lines_are_kept_in_no_more_bytes_than_are_asked_for() {
        assert_eq!(lines(100, &["one", "two"]), ["one", "two"]);
        assert_eq!(lines(8, &["one", "two", "six"]), ["two", "six"]);
        assert_eq!(lines(7, &["one", "two", "six"]), ["six"]);
        assert_eq!(lines(4, &["a longer line"]), ["ine"]);
        assert_eq!(lines(4, &["\u{e9}\u{e9}\u{e9}"]), ["\u{e9}"]);
        assert_eq!(lines(12, &["two\nlines"]), ["two", "lines"]);
        assert_eq!(lines(0, &["one"]), [""; 0]);
        assert_eq!(lines(5, &[]), [""; 0]);
    }

    #[test]
    fn what_is_kept_stays_small_however_much_is_written_and_is_gone_once_it_is_taken() {
        let mut tail = LogTail::new(100);
        for number in 0..10_000 {
            tail.add(&["INFO ", "stock: "], &format!("line {number} {}", "x".repeat(number % 500)));
            assert!(tail.text.len() <= 200, "{}", tail.text.len());
        }
        tail.add(&[], "the last");
        assert_eq!(tail.take().last().unwrap(), "the last");
        assert_eq!(tail.take(), [""; 0]);
    }
}
