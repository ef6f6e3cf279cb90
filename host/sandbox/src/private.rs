//! Directories that hold what this process executes: nobody else may write there.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// The bits of a mode that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;
/// The bit of a directory's mode that lets only owners remove and rename what is theirs.
const STICKY: u32 = 0o1000;

/// Makes a directory, and those above it, for this user alone; and looks whether others may write
/// in the one that is there. `below` is a directory that was named, and `name` one in it.
///
/// # Errors
/// Why what lies there cannot be trusted, or that there can be no directory.
pub fn private_directory(below: &Path, name: &str) -> io::Result<()> {
    let directory = below.join(name);
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let found = fs::metadata(below)?;
    if found.mode() & STICKY == 0 {
        only_ours(below, &found)?;
    }
    only_ours(&directory, &fs::symlink_metadata(&directory)?)
}

/// Looks whether a file is one that others may not write, and no pipe or link.
///
/// # Errors
/// What is wrong with it.
pub fn check_private_file(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() {
        return Err(not_trusted(path, "it is no regular file"));
    }
    only_ours(path, &found)
}

fn only_ours(path: &Path, found: &Metadata) -> io::Result<()> {
    let us = rustix::process::geteuid().as_raw();
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(not_trusted(path, "other users may write it (chmod go-w)"));
    }
    // Root may write everything anyhow.
    if found.uid() != us && found.uid() != 0 {
        return Err(not_trusted(path, "it belongs to another user (chown)"));
    }
    Ok(())
}

fn not_trusted(path: &Path, cause: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_is_made_for_this_user_and_not_used_where_others_may_write() {
        let temporary = tempfile::tempdir().unwrap();
        let below = temporary.path().join("a/b");
        private_directory(&below, "c").unwrap();
        for made in [&temporary.path().join("a"), &below, &below.join("c")] {
            assert_eq!(fs::metadata(made).unwrap().mode() & 0o777, 0o700, "{}", made.display());
        }
        for (path, mode, good) in [
            (below.join("c"), 0o770, false),
            (below.join("c"), 0o702, false),
            (below.join("c"), 0o755, true),
            (below.clone(), 0o777, false),
            (below.clone(), 0o1777, true),
        ] {
            set(&path, mode);
            let used = private_directory(&below, "c");
            assert_eq!(used.is_ok(), good, "{mode:o} {}: {used:?}", path.display());
        }
    }

    #[test]
    fn a_file_that_others_may_write_a_pipe_and_a_link_are_not_used() {
        let temporary = tempfile::tempdir().unwrap();
        let (file, link) = (temporary.path().join("file"), temporary.path().join("link"));
        fs::write(&file, "component").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for (mode, good) in [(0o600, true), (0o644, true), (0o660, false), (0o666, false)] {
            set(&file, mode);
            assert_eq!(check_private_file(&file).is_ok(), good, "{mode:o}");
        }
        set(&file, 0o600);
        for odd in [&link, temporary.path()] {
            assert!(check_private_file(odd).unwrap_err().to_string().contains("no regular file"));
        }
    }
}
