//! Writes that do not wait: whether a file descriptor has room.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};

/// A pipe that is ready takes so many bytes without waiting (`PIPE_BUF`, pipe(7)).
pub(crate) const PIECE: usize = 4096;

/// Whether it is a file, which always has room.
pub(crate) fn is_file(written: impl AsFd) -> bool {
    fstat(written).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::RegularFile)
}

/// Whether [`PIECE`] bytes can be written without waiting, now or within `patience`.
pub(crate) fn is_ready(written: impl AsFd, patience: Duration) -> bool {
    let mut left = patience;
    loop {
        let asked = Instant::now();
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&written, PollFlags::OUT)], Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => left = left.saturating_sub(asked.elapsed()),
            // It cannot be asked: then it cannot be waited for either.
            Err(_) => return true,
        }
    }
}
