//! Files of text that somebody names: read without waiting, and not beyond a limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The longest text that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What stands in a file, to the last byte.
///
/// # Errors
/// Why it cannot be had, as a clause behind the name of the file.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    // A pipe might never end, or never begin.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is no regular file".into());
    }
    let mut bytes = Vec::new();
    // Some files of the kernel wait for more to come: without blocking that is an error.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file =
        File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| cannot(error.into()))?);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("has more than {} KiB", MAX_BYTES >> 10));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 text: invalid at byte {}", error.utf8_error().valid_up_to()))
}
