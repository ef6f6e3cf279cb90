//! How much memory the container has, and how many handlers fit into it beside each other (rule 5).

use std::io;
use std::path::{Path, PathBuf};

use longshore_sandbox::{Grants, Limits, Settings};

/// What the host itself takes: its code, the loaded component, the queue, and what waits for a
/// slot.
const HOST: u64 = 112 << 20;
/// What a handler takes beside its limits: its stack on the host's side, its tables and its
/// message.
const BESIDE_LIMITS: u64 = 2 << 20;
/// From here on a number is no limit: version 1 writes the largest multiple of a page, 2^63 less
/// one.
const UNLIMITED: u64 = 1 << 60;

/// How many handlers of these settings fit into the container beside each other; `None` if the
/// container has no limit.
pub(crate) fn room(settings: &Settings) -> Option<Room> {
    let memory = container()?;
    Some(Room { memory, handlers: fit(memory, &settings.limits, &settings.grants) })
}

/// The memory that this container may use, in bytes; `None` if it has no limit.
pub(crate) fn container() -> Option<u64> {
    container_limit(Path::new("/"))
}

/// What a container has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Its memory, in bytes.
    pub(crate) memory: u64,
    /// How many handlers fit into it beside each other.
    pub(crate) handlers: usize,
}

/// How many handlers fit into `memory` bytes, beside the host, if each uses all that it may.
pub(crate) fn fit(memory: u64, limits: &Limits, grants: &Grants) -> usize {
    usize::try_from(memory.saturating_sub(HOST) / each(limits, grants)).unwrap_or(usize::MAX)
}

/// What the host and so many handlers take, in bytes, if each uses all that it may.
pub(crate) fn needed(handlers: usize, limits: &Limits, grants: &Grants) -> u64 {
    each(limits, grants).saturating_mul(handlers as u64).saturating_add(HOST)
}

/// The largest memory of a handler, in bytes, with which so many of them fit into `memory` bytes.
pub(crate) fn largest(memory: u64, handlers: usize, limits: &Limits, grants: &Grants) -> u64 {
    let beside = each(&Limits { memory: 0, ..limits.clone() }, grants);
    (memory.saturating_sub(HOST) / handlers.max(1) as u64).saturating_sub(beside)
}

/// What a handler takes that uses all that it may, in bytes.
fn each(limits: &Limits, grants: &Grants) -> u64 {
    let http = if grants.may_call() { limits.http_bytes } else { 0 };
    let outbox = if grants.outbox.is_empty() { 0 } else { limits.outbox_bytes };
    let bytes = [limits.memory, limits.stack, limits.per_call, limits.log, http, outbox];
    bytes.iter().fold(BESIDE_LIMITS, |sum, bytes| sum.saturating_add(*bytes as u64))
}

/// The least memory limit of the control groups that this process is in, in bytes. `root` is where
/// `/proc` and `/sys` are found.
///
/// Version 2 has one tree of groups, and version 1 one for each resource
/// ([Control Group v2](https://docs.kernel.org/admin-guide/cgroup-v2.html), `memory.max`;
/// [Memory Resource Controller](https://docs.kernel.org/admin-guide/cgroup-v1/memory.html)).
fn container_limit(root: &Path) -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(root.join(path));
    let (groups, mounts) = (read("proc/self/cgroup").ok()?, read("proc/self/mountinfo").ok()?);
    let trees = groups.lines().filter_map(Tree::of_line);
    trees.filter_map(|tree| tree.limit(root, &mounts)).min()
}

/// A tree of groups that may limit memory, and the place of this process in it.
struct Tree<'a> {
    /// The type of the file system that shows it.
    kind: &'static str,
    /// The file of a group that holds the limit.
    file: &'static str,
    group: &'a Path,
}

impl<'a> Tree<'a> {
    /// Reads a line of `/proc/self/cgroup`: `0::/group` or `4:memory,cpu:/group`.
    fn of_line(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':');
        let (_, resources, group) = (fields.next()?, fields.next()?, Path::new(fields.next()?));
        if resources.is_empty() {
            return Some(Self { kind: "cgroup2", file: "memory.max", group });
        }
        let has_memory = resources.split(',').any(|resource| resource == "memory");
        has_memory.then_some(Self { kind: "cgroup", file: "memory.limit_in_bytes", group })
    }

    /// The least limit of the group and of those above it.
    fn limit(&self, root: &Path, mounts: &str) -> Option<u64> {
        let mount = mounts.lines().find_map(|line| self.mount(line))?;
        // In a container the group may be named as the machine names it, and not be seen by that
        // name: then the mount shows the container's own.
        let below = self.group.strip_prefix(&mount.shows).unwrap_or(Path::new(""));
        let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
        let group = Some(point.join(below)).filter(|group| group.is_dir()).unwrap_or_else(|| point.clone());
        let above = group.ancestors().take_while(|ancestor| ancestor.starts_with(&point));
        above.filter_map(|group| limit(&group.join(self.file)).ok().flatten()).min()
    }

    /// Reads a line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
    fn mount(&self, line: &str) -> Option<Mount> {
        let (before, behind) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (shows, point) = (PathBuf::from(before.next()?), PathBuf::from(before.next()?));
        let mut behind = behind.split(' ');
        let (kind, options) = (behind.next()?, behind.nth(1).unwrap_or_default());
        let is_it = kind == self.kind && (kind == "cgroup2" || options.split(',').any(|it| it == "memory"));
        is_it.then_some(Mount { shows, point })
    }
}

/// Where a tree is seen.
struct Mount {
    /// The group that is seen at its top.
    shows: PathBuf,
    point: PathBuf,
}

/// The limit in a file; `None` if it says that there is none.
fn limit(file: &Path) -> io::Result<Option<u64>> {
    let text = std::fs::read_to_string(file)?;
    Ok(text.trim().parse().ok().filter(|bytes| *bytes < UNLIMITED))
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// A machine with these files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_limit_is_the_least_of_the_groups_that_the_process_is_in() {
        const V2: &str = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw";
        const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        const V1_IN_CONTAINER: &str =
            "35 31 0:32 /docker/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        let groups = "proc/self/cgroup";
        let mounts = "proc/self/mountinfo";
        for (name, files, expected) in [
            ("no cgroups", &[(groups, ""), (mounts, "")][..], None),
            (
                "version 2",
                &[(groups, "0::/"), (mounts, V2), ("sys/fs/cgroup/memory.max", "1073741824\n")],
                Some(GIB),
            ),
            (
                "version 2, unlimited",
                &[(groups, "0::/"), (mounts, V2), ("sys/fs/cgroup/memory.max", "max\n")],
                None,
            ),
            (
                "version 2, a group within a smaller one",
                &[
                    (groups, "0::/a/b"),
                    (mounts, V2),
                    ("sys/fs/cgroup/a/memory.max", "1073741824"),
                    ("sys/fs/cgroup/a/b/memory.max", "2147483648"),
                ],
                Some(GIB),
            ),
            (
                "version 2, named as the machine names it",
                &[(groups, "0::/kubepods/1"), (mounts, V2), ("sys/fs/cgroup/memory.max", "1073741824")],
                Some(GIB),
            ),
            (
                "version 1",
                &[
                    (groups, "1:cpu:/\n4:memory:/a\n0::/"),
                    (mounts, V1),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
                    ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824"),
                ],
                Some(GIB),
            ),
            (
                "version 1, in a container",
                &[
                    (groups, "4:cpu,memory:/docker/1"),
                    (mounts, V1_IN_CONTAINER),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824"),
                ],
                Some(GIB),
            ),
            (
                "version 1, unlimited",
                &[
                    (groups, "4:memory:/"),
                    (mounts, V1),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
                ],
                None,
            ),
        ] {
            assert_eq!(container_limit(machine(files).path()), expected, "{name}");
        }
    }

    #[test]
    fn as_many_handlers_fit_as_may_each_use_all_that_they_may() {
        let plain = Settings::default();
        let mut granted = Settings::default();
        // Any of the grants of HTTP brings bodies along.
        granted.grants.identities.push("acme.blob.core.windows.net".parse().unwrap());
        granted.grants.outbox.push("invoices".into());
        for (mebibytes, alone, with_grants) in
            [(0, 0, 0), (128, 0, 0), (256, 1, 1), (1024, 6, 6), (2048, 14, 13), (4096, 30, 27)]
        {
            let memory = mebibytes << 20;
            let fit = |it: &Settings| fit(memory, &it.limits, &it.grants);
            assert_eq!((fit(&plain), fit(&granted)), (alone, with_grants), "{mebibytes} MiB");
        }
    }

    #[test]
    fn what_is_said_to_mend_a_container_that_is_too_small_does_mend_it() {
        let Settings { limits, grants, .. } = Settings::default();
        for handlers in [1, 6, 16, 100] {
            let memory = needed(handlers, &limits, &grants);
            assert_eq!(fit(memory, &limits, &grants), handlers);
            assert_eq!(fit(memory - 1, &limits, &grants), handlers - 1);
            let largest = largest(GIB, handlers, &limits, &grants);
            let smaller = Limits { memory: usize::try_from(largest).unwrap(), ..limits.clone() };
            let fitting = fit(GIB, &smaller, &grants);
            assert!(largest == 0 || fitting >= handlers, "{handlers}: {largest} bytes, and {fitting} fit");
        }
    }

    #[test]
    fn the_templates_count_no_more_handlers_into_a_container_than_the_host() {
        let Settings { limits, grants, .. } = Settings::default();
        let beside = each(&Limits { memory: 0, ..limits.clone() }, &grants).div_ceil(1 << 20);
        let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra");
        let text = std::fs::read_to_string(infra.join("modules/job.bicep")).unwrap();
        for line in [
            format!("var hostMib = {}", HOST >> 20),
            format!("var besideMib = {beside}"),
            format!(
                "var grantedMib = (empty(concat(settings.allowHttp!, identityGrants, settings.httpHeader!)) ? 0 : {}) + (empty(outboxes) ? 0 : {})",
                limits.http_bytes.div_ceil(1 << 20),
                limits.outbox_bytes.div_ceil(1 << 20)
            ),
        ] {
            // The formatter breaks long lines.
            let words = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words(&text).contains(&words(&line)), "modules/job.bicep does not say `{line}`");
        }
    }
}
