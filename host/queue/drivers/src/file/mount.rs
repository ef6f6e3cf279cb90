//! Which file system a directory lies on: one that processes cannot share memory over is refused,
//! and one that nobody knows is warned of.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use longshore_queue::QueueError;

/// File systems that lie on another machine, on the other side of a virtual machine's boundary, or
/// on a disk that several machines write to.
/// A trailing `*` stands for any ending. Names as in `/proc/self/mountinfo`.
const REMOTE: &[&str] = &[
    "9p",
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fakeowner",
    "fuse.azure*",
    "fuse.beegfs*",
    "fuse.blobfuse*",
    "fuse.ceph*",
    "fuse.curlftpfs",
    "fuse.davfs*",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.goofys*",
    "fuse.grpcfuse",
    "fuse.hdfs*",
    "fuse.juicefs",
    "fuse.lizardfs",
    "fuse.mfs",
    "fuse.moosefs",
    "fuse.mount-s3",
    "fuse.mountpoint-s3",
    "fuse.nfs*",
    "fuse.objectivefs",
    "fuse.osxfs",
    "fuse.prl_fsd",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.seaweedfs",
    "fuse.smb*",
    "fuse.sshfs",
    "fuse.vmhgfs-fuse",
    "gfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "kafs",
    "lustre",
    "ncpfs",
    "nfs*",
    "ocfs2*",
    "orangefs",
    "osxfs",
    "panfs",
    "prl_fs",
    "pvfs2",
    "smb*",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
    "wekafs",
];

/// File systems of this machine's own disks and memory, on which SQLite's log works.
const LOCAL: &[&str] = &[
    "aufs",
    "bcachefs",
    "btrfs",
    "ecryptfs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "fuse.fuse-overlayfs",
    "fuseblk",
    "hfsplus",
    "jfs",
    "nilfs2",
    "ntfs*",
    "overlay",
    "ramfs",
    "reiser*",
    "rootfs",
    "tmpfs",
    "udf",
    "ufs",
    "vfat",
    "xfs",
    "zfs",
];

/// Refuses a directory that lies on a file system without shared memory between its processes, and
/// warns of one of which nothing is known.
///
/// SQLite's write-ahead log keeps its index in shared memory, and two hosts that map the same file
/// do not see each other's pages ([Write-Ahead Logging](https://sqlite.org/wal.html), section 1):
/// the database would be corrupted. The directory need not be there yet. Without `/proc` nothing
/// can be found out, and nothing is refused.
pub(super) fn look(directory: &Path) -> Result<(), QueueError> {
    let Ok(mounts) = std::fs::read("/proc/self/mountinfo") else { return Ok(()) };
    let Ok(absolute) = std::path::absolute(directory) else { return Ok(()) };
    let Some(existing) = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok()) else {
        return Ok(());
    };
    let Some(mount) = file_system(&mounts, &existing) else { return Ok(()) };
    match Suitability::of(&mount.kind) {
        Suitability::Works => Ok(()),
        Suitability::Unknown => {
            warn_once(directory, &mount);
            Ok(())
        }
        Suitability::Fails => Err(QueueError::Fault {
            cause: format!(
                "{} lies on {}, mounted at {}: SQLite's write-ahead log needs memory that all its processes share",
                directory.display(),
                mount.kind,
                mount.point.display()
            ),
            mend: "keep the queue on a local disk, and reach it from one host only".into(),
        }),
    }
}

/// Each mount is warned of once: several queues lie on it.
fn warn_once(directory: &Path, mount: &Mount) {
    static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.insert(mount.point.clone()) {
        tracing::warn!(
            directory = %directory.display(),
            file_system = mount.kind,
            mounted_at = %mount.point.display(),
            "it is not known whether SQLite's write-ahead log works on this file system: messages may be lost if it has no shared memory or no locks; keep the queue on a local disk"
        );
    }
}

/// Whether a file queue works on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suitability {
    Works,
    Fails,
    /// It is on neither list. Whoever mounts it may know more.
    Unknown,
}

impl Suitability {
    /// Of a file system that is called so.
    fn of(kind: &str) -> Self {
        let is_on = |list: &[&str]| {
            list.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => kind.starts_with(start),
                None => kind == *name,
            })
        };
        if is_on(REMOTE) {
            Self::Fails
        } else if is_on(LOCAL) {
            Self::Works
        } else {
            Self::Unknown
        }
    }
}

/// One line of the table of mounts.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    kind: String,
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
    fn a_file_system_that_does_not_work_is_told_from_one_that_does_and_from_one_that_nobody_knows() {
        for (expected, kinds) in [
            (
                Suitability::Fails,
                &[
                    "nfs",
                    "nfs4",
                    "cifs",
                    "smb3",
                    "smbfs",
                    "9p",
                    "virtiofs",
                    "fuse.sshfs",
                    "fuse.blobfuse2",
                    "ocfs2",
                    "gfs2",
                ][..],
            ),
            (
                Suitability::Works,
                &[
                    "ext4",
                    "xfs",
                    "btrfs",
                    "overlay",
                    "tmpfs",
                    "zfs",
                    "fuseblk",
                    "fuse.fuse-overlayfs",
                    "ntfs3",
                ],
            ),
            (Suitability::Unknown, &["fuse", "fuse.mine", "fuse.gocryptfs", "newfs"]),
        ] {
            for kind in kinds {
                assert_eq!(Suitability::of(kind), expected, "{kind}");
            }
        }
    }
}
