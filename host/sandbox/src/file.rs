//! Files that somebody else named: looked at before they are read, and read to a limit.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads a regular file of at most `limit` bytes. Neither a pipe that nobody writes to nor a device
/// without an end keeps the host.
///
/// # Errors
/// What the system says, [`io::ErrorKind::InvalidInput`] for what is no regular file, and
/// [`io::ErrorKind::FileTooLarge`].
pub fn read_file(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe would make the call wait for a writer.
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device"));
    }
    if found.len() > limit as u64 {
        return Err(too_large(limit));
    }
    read(&mut File::open(path)?, found.len() as usize, limit)
}

/// Reads to the end, which is expected after `length` bytes. A file that claims no length, or
/// grows, has a limit as well.
fn read(file: &mut File, length: usize, limit: usize) -> io::Result<Vec<u8>> {
    // One byte more: the last read finds the end without growing.
    let mut bytes = Vec::with_capacity(length + 1);
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

fn too_large(limit: usize) -> io::Error {
    let limit = limit >> 20;
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} MiB"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::path::Path;
    use std::process::Command;

    use super::{read, read_file};

    #[test]
    fn a_file_is_read_up_to_the_limit_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read_file(&file, 5).unwrap(), b"12345");
        assert_eq!(read_file(&file, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
        // It is never read: a hole of a terabyte.
        let huge = directory.path().join("huge");
        File::create(&huge).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_file(&huge, 1 << 20).unwrap_err().to_string(), "it has more than 1 MiB");
        let pipe = directory.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for endless in [&pipe, Path::new("/dev/zero")] {
            assert_eq!(read_file(endless, 5).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(read_file(directory.path(), 5).unwrap_err().kind(), ErrorKind::IsADirectory);
        let missing = directory.path().join("missing");
        assert_eq!(read_file(&missing, 5).unwrap_err().kind(), ErrorKind::NotFound);
        // What says nothing of its length, as files of `/proc` do.
        let mut zero = File::open("/dev/zero").unwrap();
        assert_eq!(read(&mut zero, 0, 1000).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
