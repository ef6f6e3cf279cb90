//! A disk that is completely full, under a file queue.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Ended, cache, longshore, run};
use longshore_testkit::{guest, sample};

/// A small disk in memory, which is unmounted with this value.
struct Disk {
    at: PathBuf,
    _directory: tempfile::TempDir,
}

impl Disk {
    fn of(size: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).status();
        assert!(mounted.unwrap().success(), "this test mounts a disk, as root");
        Self { at, _directory: directory }
    }

    /// Writes a file until nothing fits any more.
    fn fill(&self) {
        use std::io::Write;
        let mut file =
            std::fs::File::options().create(true).append(true).open(self.at.join("filler")).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        assert_eq!(rustix::fs::statvfs(&self.at).unwrap().f_bavail, 0);
    }

    fn verb(&self, verb: &[&str], queue: &str) -> Ended {
        let url = format!("file:{}/{queue}", self.at.display());
        run(longshore(verb).arg("--queue").arg(url)).never_panicked()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

fn size(disk: &Path) -> u64 {
    std::fs::metadata(disk.join("queues.db")).unwrap().len()
}

#[test]
#[ignore = "it mounts small disks, as root: `make test-services` runs it"]
fn on_a_full_disk_the_error_says_what_is_needed_and_purging_and_compacting_make_room() {
    for (size, body) in [("4m", 60_000), ("2m", 60_000), ("2m", 200)] {
        make_room_on(&Disk::of(size), body);
    }
}

/// Fills a disk with poison messages of so many bytes, and makes room on it.
fn make_room_on(disk: &Disk, body: usize) {
    for queue in ["orders", "orders-poison"] {
        disk.verb(&["queue", "create"], queue).succeeded();
    }
    // As many at once as a message of 60 kB is long: small ones fill the disk as soon.
    let lines = disk.at.with_file_name("lines");
    std::fs::write(&lines, ("x".repeat(body) + "\n").repeat(60_000 / body)).unwrap();
    let send = ["send", "--file", lines.to_str().unwrap()];
    let no_room =
        ["there is no room in", "KiB are left on its disk", "at least 256 KiB are needed", "queue compact"];
    // What was written to the log before may leave room for a little more.
    let refuses = || {
        let refused = (0..100).map(|_| disk.verb(&send, "orders-poison")).find(|it| it.code() != 0);
        refused.expect("6 MB do not fit into 4 MiB").ends_with(3).says(&no_room);
    };
    refuses();
    disk.fill();
    refuses();
    // Looking works, and keeps the room that it was lent for who deletes.
    for _ in 0..3 {
        disk.verb(&["queue", "stats"], "orders-poison").succeeded();
        disk.verb(&["poison", "list", "--all"], "orders").succeeded();
        // The log was written back, and its room is free.
        disk.fill();
    }
    refuses();
    // What is left does not fit beside itself.
    disk.verb(&["queue", "compact"], "orders").ends_with(3).says(&["there is no room in", "are needed"]);
    let before = size(&disk.at);
    disk.verb(&["poison", "purge", "--yes"], "orders").succeeded();
    disk.verb(&["queue", "compact"], "orders").succeeded();
    let after = size(&disk.at);
    println!("a full disk, bodies of {body} bytes: {before} bytes before, {after} after");
    assert!(after * 4 < before, "{before} bytes before, {after} after");
    disk.verb(&["send", "{}"], "orders").succeeded();
}

#[test]
#[ignore = "it mounts small disks, as root: `make test-services` runs it"]
fn a_queue_on_a_full_disk_is_worked_off() {
    let disk = Disk::of("2m");
    disk.verb(&["queue", "create"], "orders").succeeded();
    let lines = disk.at.with_file_name("lines");
    let padded = sample::order("o-1", "ok") + &" ".repeat(5000) + "\n";
    std::fs::write(&lines, padded.repeat(1000)).unwrap();
    disk.verb(&["send", "--file", lines.to_str().unwrap()], "orders").ends_with(3);
    disk.fill();
    let (component, cache) = (guest::order(), cache().to_str().unwrap());
    let run = [
        "run",
        "--output=json",
        "--linger=0",
        "--cache-dir",
        cache,
        "--component",
        component.to_str().unwrap(),
    ];
    let summary = disk.verb(&run, "orders").succeeded().json();
    assert!(summary["completed"].as_u64().unwrap() > 100, "{summary}");
    assert_eq!((&summary["ended"], &summary["completed"]), (&"drained".into(), &summary["received"]));
}

#[test]
#[ignore = "it mounts small disks, as root: `make test-services` runs it"]
fn a_queue_is_not_made_on_a_full_disk_and_the_error_says_why() {
    let disk = Disk::of("4m");
    disk.fill();
    disk.verb(&["queue", "create"], "orders").ends_with(3).says(&["there is no room in", "are needed"]);
}

#[test]
fn compacting_gives_back_what_deleted_messages_left_and_keeps_the_others() {
    let directory = crate::directory::Directory::new();
    let orders = crate::directory::ORDERS;
    let path = directory.path("queues.db");
    directory.send((0..50).map(|_| "x".repeat(60_000)));
    directory.database().execute("DELETE FROM message WHERE seq > 1", []).unwrap();
    let written_back = "PRAGMA wal_checkpoint(TRUNCATE)";
    directory.database().query_row(written_back, [], |row| row.get::<_, i64>(0)).unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    let compact = ["queue", "compact", "--output=json", "--queue"];
    let ended = run(longshore(compact).arg(directory.url(orders))).succeeded();
    let after = std::fs::metadata(&path).unwrap().len();
    assert_eq!(ended.json()["after_bytes"], after);
    assert!(after * 4 < before && directory.rows(orders).len() == 1, "{before} bytes before, {after} after");
    run(longshore(compact).arg(directory.url("missing"))).ends_with(3).says(&["there is no queue"]);
    let service = "http://127.0.0.1:9/account/orders?sig=none";
    run(longshore(compact).arg(service)).ends_with(3).says(&["name a file queue"]);
}
