//! The end of a text of any length.

use std::collections::VecDeque;

/// How much of a log is kept, in bytes.
const MAX_LOG: usize = 64 * 1024;

/// The last lines of a log, up to 64 KiB.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl Tail {
    /// Adds a line.
    pub fn push(&mut self, mut line: String) {
        if line.len() > MAX_LOG {
            let end = (0..=MAX_LOG).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(end);
        }
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > MAX_LOG {
            let Some(first) = self.lines.pop_front() else { break };
            self.bytes -= first.len() + 1;
            self.dropped += 1;
        }
    }

    /// The lines, each with its end, after one that says how many are missing.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = match self.dropped {
            0 => String::new(),
            dropped => format!("({dropped} lines before these were dropped)\n"),
        };
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_kept_and_what_is_missing_is_said() {
        let mut tail = Tail::default();
        tail.push("first".into());
        assert_eq!(tail.text(), "first\n");
        for number in 0..10_000 {
            tail.push(format!("line {number}"));
        }
        let text = tail.text();
        assert!(text.len() < MAX_LOG + 100 && text.ends_with("line 9999\n"), "{}", text.len());
        assert!(text.starts_with("(") && text.contains("were dropped"));
        tail.push("é".repeat(MAX_LOG));
        assert!(tail.text().len() < MAX_LOG + 100);
    }
}
