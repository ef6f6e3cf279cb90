//! Arbitrary bytes as the kernel's files on control groups.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{UNLIMITED, container_limit};

const GROUPS_TARGET: &str = "control-groups";

/// What stands between the three files of an input.
const BETWEEN: u8 = b'=';
const V2: &str = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw";
const V1: &str = "35 31 0:32 /docker/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";

#[test]
fn whatever_the_files_of_control_groups_say_it_is_a_limit_or_none() {
    let seeds = [
        format!("0::/={V2}=1073741824\n"),
        format!("0::/a/b={V2}=max\n"),
        format!("1:cpu:/\n4:cpu,memory:/docker/1={V1}=9223372036854771712"),
    ];
    let seeds = seeds.each_ref().map(String::as_str);
    let words = &[
        "0::/",
        "4:memory:/",
        " - cgroup2 cgroup2 rw",
        " - cgroup cgroup rw,memory",
        "/../..",
        "\n",
        "max",
        "=",
    ];
    let target = FuzzTarget::of_texts(GROUPS_TARGET, module_path!(), words, &seeds);
    let root = tempfile::tempdir().unwrap();
    let file = |path: &str| root.path().join(path);
    for folder in ["proc/self", "sys/fs/cgroup/memory"] {
        std::fs::create_dir_all(file(folder)).unwrap();
    }
    feed(&target, |bytes| {
        let mut parts = bytes.split(|byte| *byte == BETWEEN);
        for path in ["proc/self/cgroup", "proc/self/mountinfo", "sys/fs/cgroup/memory.max"] {
            std::fs::write(file(path), parts.next().unwrap_or_default()).unwrap();
        }
        let older = file("sys/fs/cgroup/memory/memory.limit_in_bytes");
        std::fs::copy(file("sys/fs/cgroup/memory.max"), older).unwrap();
        let limit = container_limit(root.path());
        assert!(limit.is_none_or(|bytes| bytes < UNLIMITED));
        format!("a limit {}", limit.is_some())
    });
}
