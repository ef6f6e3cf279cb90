//! The man pages that a release holds.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use clap::CommandFactory;

use crate::process::{longshore, run};
use longshore_testkit::needs;

/// The names of the pages that a verb and those below it have to have.
fn names(command: &clap::Command, name: &str, found: &mut BTreeSet<String>) {
    found.insert(format!("{name}.1"));
    for verb in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        names(verb, &format!("{name}-{}", verb.get_name()), found);
    }
}

#[test]
fn every_verb_has_a_page_that_groff_renders_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("share/man1");
    let made = run(longshore(["man", "--output=json"]).arg(&pages)).succeeded().json();
    let mut expected = BTreeSet::new();
    names(&longshore::cli::Cli::command(), "longshore", &mut expected);
    let files: Vec<_> = std::fs::read_dir(&pages).unwrap().map(|it| it.unwrap().path()).collect();
    let there: BTreeSet<_> =
        files.iter().map(|it| it.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!((&there, &made["pages"]), (&expected, &expected.len().into()));
    assert!(there.contains("longshore-queue-delete.1") && !there.contains("longshore-man.1"), "{there:?}");
    for file in &files {
        let mut groff = needs::program("groff", "the package groff-base");
        let ran = groff.args(["-man", "-ww", "-k", "-z"]).arg(file).output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{}: {ran:?}", file.display());
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{}", file.display());
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o600, 0o600);
    }
    let text = |name: &str| {
        let shown = Command::new("groff").args(["-man", "-Tascii", "-P-c"]).arg(pages.join(name)).output();
        // Letters that are struck over themselves are bold.
        let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
        let mut plain = String::new();
        shown
            .chars()
            .for_each(|c| if c == '\u{8}' { plain.truncate(plain.len() - 1) } else { plain.push(c) });
        plain
    };
    let run_page = text("longshore-run.1");
    for part in [
        "EXAMPLES\n       longshore run --queue file:./queues/orders",
        "LIMITS OF ONE HANDLER",
        "Memory, in MiB",
        "LONGSHORE_MEMORY",
    ] {
        assert!(run_page.contains(part), "{part}: {run_page}");
    }
    assert!(text("longshore.1").contains("EXIT CODES\n       0  done"), "{}", text("longshore.1"));
}

#[test]
fn pages_are_for_everybody_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    let command = format!("umask 022; exec '{}' man '{}'", env!("CARGO_BIN_EXE_longshore"), pages.display());
    assert!(Command::new("sh").args(["-c", &command]).output().unwrap().status.success());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&pages), mode(&pages.join("longshore.1"))), (0o755, 0o644));
}

#[test]
fn a_link_in_the_directory_is_refused_and_what_it_leads_to_stays() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    run(longshore(["man"]).arg(&pages)).succeeded();
    let page = pages.join("longshore-run.1");
    let text = std::fs::read(&page).unwrap();

    let victim = directory.path().join("victim");
    std::fs::write(&victim, "mine").unwrap();
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).unwrap();
    let is_as_it_was = || {
        let mode = std::fs::metadata(&victim).unwrap().permissions().mode() & 0o777;
        assert_eq!((std::fs::read_to_string(&victim).unwrap().as_str(), mode), ("mine", 0o600));
    };
    std::fs::remove_file(&page).unwrap();
    std::os::unix::fs::symlink(&victim, &page).unwrap();
    run(longshore(["man"]).arg(&pages))
        .ends_with(1)
        .says(&["longshore-run.1 is a link, which is not followed; remove it"]);
    is_as_it_was();

    // A second name of a file is no link that can be seen. It gets a file of its own.
    std::fs::remove_file(&page).unwrap();
    std::fs::hard_link(&victim, &page).unwrap();
    run(longshore(["man"]).arg(&pages)).succeeded();
    is_as_it_was();
    assert_eq!(std::fs::read(&page).unwrap(), text);
}
