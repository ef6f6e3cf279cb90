//! The last lines that a guest wrote for one message, as a poison envelope carries them.

/// The most bytes of the mark: twenty digits, its words and its end.
const LONGEST_MARK: usize = 64;
/// How many times its mark's length has to be kept for there to be one.
const MARKED_FROM: usize = 4;

/// The last lines of one attempt, in no more bytes than are asked for, behind a mark that counts
/// the lines before them.
///
/// Up to twice as many bytes are kept meanwhile: cutting at each line would copy all of them.
#[derive(Debug)]
pub(crate) struct LogTail {
    /// The most bytes that [`LogTail::take`] gives; zero: nothing is kept.
    longest: usize,
    /// Lines, each with its end.
    text: String,
    /// How many lines were left out, whole or in part.
    left_out: u64,
    /// Whether the first line of the text is one of them.
    is_begun_within: bool,
}

impl LogTail {
    /// Nothing yet, and at most `longest` bytes of lines.
    pub(crate) fn new(longest: usize) -> Self {
        Self { longest, text: String::new(), left_out: 0, is_begun_within: false }
    }

    /// Whether any line is kept.
    pub(crate) fn keeps(&self) -> bool {
        self.longest > 0
    }

    /// Adds a text of one line or more, behind what says where it comes from.
    pub(crate) fn add(&mut self, before: &[&str], text: &str) {
        if !self.keeps() {
            return;
        }
        before.iter().for_each(|part| self.text.push_str(part));
        // No more of it will be kept.
        let (gone, last) = text.split_at(text.ceil_char_boundary(text.len().saturating_sub(self.longest)));
        self.left_out += line_ends(gone);
        self.text.push_str(last);
        self.text.push('\n');
        if self.text.len() > 2 * self.longest {
            self.cut(self.longest);
        }
    }

    /// Gives the lines, and forgets them. If some were left out, the first line says how many.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.cut(self.longest);
        let is_marked = self.left_out > 0 && self.longest >= MARKED_FROM * LONGEST_MARK;
        if is_marked {
            self.cut(self.longest - LONGEST_MARK);
        }
        let Self { text, left_out, .. } = std::mem::replace(self, Self::new(self.longest));
        let mark = is_marked.then(|| format!("[{left_out} earlier lines are left out]"));
        mark.into_iter().chain(text.lines().map(str::to_owned)).collect()
    }

    /// Cuts at the beginning of a line, or within the last one where that is too long.
    fn cut(&mut self, longest: usize) {
        let Some(over) = self.text.len().checked_sub(longest).filter(|over| *over > 0) else { return };
        let at = self.text.ceil_char_boundary(over);
        let begins = |at: usize| self.text.as_bytes()[at - 1] == b'\n';
        let next = match self.text[at..].find('\n').map(|end| at + end + 1) {
            _ if begins(at) => at,
            Some(next) if next < self.text.len() => next,
            _ => at,
        };
        let is_within = !begins(next);
        self.left_out += line_ends(&self.text[..next]) + u64::from(is_within);
        self.left_out -= u64::from(self.is_begun_within);
        self.is_begun_within = is_within;
        self.text.drain(..next);
    }
}

/// How many lines end in a text.
fn line_ends(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
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

    #[test]
    fn the_lines_that_were_left_out_are_counted_in_the_first_line() {
        let numbered: Vec<_> = (1..=1000).map(|number| format!("line {number}")).collect();
        let kept = lines(256, &numbered.iter().map(String::as_str).collect::<Vec<_>>());
        let first: usize = kept[1].strip_prefix("line ").unwrap().parse().unwrap();
        assert_eq!(kept[0], format!("[{} earlier lines are left out]", first - 1));
        assert_eq!(kept.last().unwrap(), "line 1000");
        assert!(kept.iter().map(|line| line.len() + 1).sum::<usize>() <= 256, "{kept:?}");
        assert_eq!(lines(256, &["short"]), ["short"]);
        let long = "x".repeat(10_000);
        for texts in [&[&*long][..], &["one\ntwo", &long], &[&format!("one\ntwo\n{long}")]] {
            let kept = lines(256, texts);
            let count = if texts.len() == 1 && texts[0] == long { 1 } else { 3 };
            assert_eq!(kept[0], format!("[{count} earlier lines are left out]"));
            assert_eq!(kept[1..], ["x".repeat(191)]);
        }
    }
}
