//! Where tests have the log written to.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// What was logged. Clones share it.
#[derive(Clone, Default)]
pub(super) struct WrittenLog(Arc<Mutex<Vec<u8>>>);

impl WrittenLog {
    /// All of it so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for WrittenLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
