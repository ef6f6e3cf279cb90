//! Questions to the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::exit::{Clause, Failure};

/// Whether there is somebody to ask.
pub(super) fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether somebody sits at a keyboard, be it that a question would not be seen.
pub(super) fn has_keyboard() -> bool {
    io::stdin().is_terminal()
}

/// Whether there is somebody, who would not see a question.
pub(super) fn is_unheard() -> bool {
    io::stdin().is_terminal() && !io::stderr().is_terminal()
}

/// Asks whether something is to be deleted: `12 messages of file:./queues/orders`. What is deleted
/// is gone.
///
/// # Errors
/// When the answer is no other than yes.
pub(super) fn confirm_deletion(what: &str) -> Result<(), Failure> {
    let asked = format!("Delete {} for good? [y/N] ", crate::shown::shown(what));
    let _ = io::stderr().write_all(asked.as_bytes());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).during(|| "cannot read the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::other("nothing was deleted; answer `y`, or give --yes")),
    }
}
