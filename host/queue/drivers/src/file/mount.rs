//! Which file system a directory lies on, so that one that processes cannot share memory over is
//! refused.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use longshore_queue::QueueError;

/// File systems that lie on another machine, or on the other side of a virtual machine's boundary.
/// A trailing `*` stands for any ending. Names as in `/proc/self/mountinfo`.
const REMOTE: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fakeowner",
    "fuse.blobfuse*",
    "fuse.ceph*",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.grpcfuse",
    "fuse.osxfs",
    "fuse.prl_fsd",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "fuse.vmhgfs-fuse",
    "glusterfs",
    "gpfs",
    "kafs",
    "lustre",
    "ncpfs",
    "nfs*",
    "orangefs",
    "osxfs",
    "prl_fs",
    "smb*",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
];

/// Refuses a directory that lies on a file system without shared memory between its processes.
///
/// SQLite's write-ahead log keeps its index in shared memory, and two hosts that map the same file
/// do not see each other's pages ([Write-Ahead Logging](https://sqlite.org/wal.html), section 1):
/// the database would be corrupted. The directory need not be there yet. Without `/proc` nothing
/// can be found out, and nothing is refused.
pub(super) fn refuse_remote(directory: &Path) -> Result<(), QueueError> {
    let Ok(mounts) = std::fs::read("/proc/self/mountinfo") else { return Ok(()) };
    let Ok(absolute) = std::path::absolute(directory) else { return Ok(()) };
    let Some(existing) = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok()) else {
        return Ok(());
    };
    match file_system(&mounts, &existing) {
        Some(mount) if is_remote(&mount.kind) => Err(QueueError::Fault {
            cause: format!(
                "{} lies on {}, mounted at {}: SQLite's write-ahead log needs memory that all its processes share",
                directory.display(),
                mount.kind,
                mount.point.display()
            ),
            mend: "keep the queue on a local disk, and reach it from one host only".into(),
        }),
        _ => Ok(()),
    }
}

/// One line of the table of mounts.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    kind: String,
}

fn is_remote(kind: &str) -> bool {
    REMOTE.iter().any(|name| match name.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => kind == *name,
    })
}

/// Finds the mount that holds an absolute path, in the text of `/proc/self/mountinfo`
/// ([proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html)).
fn file_system(mounts: &[u8], path: &Path) -> Option<Mount> {
    mounts
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .filter(|mount| path.starts_with(&mount.point))
        // Of two mounts on one point the later one hides the earlier, and `max_by_key` keeps the
        // last.
        .max_by_key(|mount| mount.point.components().count())
}

fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = PathBuf::from(OsString::from_vec(unescape(fields.nth(4)?)));
    // A variable number of optional fields ends with a lone dash.
    fields.find(|field| *field == b"-")?;
    let kind = String::from_utf8_lossy(&unescape(fields.next()?)).into_owned();
    Some(Mount { point, kind })
}

/// Decodes `\040` and its like: the kernel writes space, tab, newline and backslash as three octal
/// digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                decoded.push(byte);
                rest = &after[3..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
36 27 0:31 / /mnt rw master:1 shared:2 - tmpfs tmpfs rw
37 36 0:32 / /mnt/share rw,relatime shared:7 - nfs4 server:/share rw
38 36 0:33 / /mnt/my\\040queues rw - cifs //server/q\\134x rw
39 27 0:34 / /over rw - nfs server:/x rw
40 27 0:35 / /over rw - xfs /dev/vdb rw
a line of another kind
41 27 0:36 / /broken rw
";

    fn at(path: &str) -> (PathBuf, String) {
        let mount = file_system(MOUNTS, Path::new(path)).unwrap();
        (mount.point, mount.kind)
    }

    #[test]
    fn the_longest_mount_point_that_holds_the_path_counts() {
        assert_eq!(at("/srv/queues"), ("/".into(), "ext4".into()));
        assert_eq!(at("/mnt/queues"), ("/mnt".into(), "tmpfs".into()));
        assert_eq!(at("/mnt/share"), ("/mnt/share".into(), "nfs4".into()));
        assert_eq!(at("/mnt/share/a/b"), ("/mnt/share".into(), "nfs4".into()));
        assert_eq!(at("/mnt/shared"), ("/mnt".into(), "tmpfs".into()), "a prefix of a name is no directory");
        assert_eq!(at("/broken"), ("/".into(), "ext4".into()));
    }

    #[test]
    fn a_mount_point_with_a_space_is_decoded() {
        assert_eq!(at("/mnt/my queues/a"), ("/mnt/my queues".into(), "cifs".into()));
        assert_eq!(unescape(b"a\\134b\\0c\\"), b"a\\b\\0c\\");
        assert_eq!(unescape(b"/x040"), b"/x040", "digits alone stand for themselves");
    }

    #[test]
    fn a_later_mount_hides_an_earlier_one() {
        assert_eq!(at("/over/q"), ("/over".into(), "xfs".into()));
    }

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        for kind in ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "fuse.sshfs", "fuse.blobfuse2"]
        {
            assert!(is_remote(kind), "{kind}");
        }
        for kind in ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "fuseblk", "fuse.fuse-overlayfs"] {
            assert!(!is_remote(kind), "{kind}");
        }
    }
}
