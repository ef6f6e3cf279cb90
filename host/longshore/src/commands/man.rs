//! `longshore man`: a man page for each verb, made from its flags.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use rustix::fs::Mode;
use serde::Serialize;

use super::print;
use crate::cli::{Cli, Format, ManArgs};
use crate::exit::{Clause, Exit, Failure};

#[derive(Serialize)]
struct Pages {
    directory: String,
    pages: usize,
}

pub(super) fn execute(args: &ManArgs, umask: Mode, format: Format) -> Result<Exit, Failure> {
    let directory = &args.directory;
    let pages = write_all(directory, umask).during(|| format!("cannot write {}", directory.display()))?;
    let result = Pages { directory: directory.display().to_string(), pages };
    let fields = [("directory", result.directory.clone()), ("pages", pages.to_string())];
    print::fields(&fields, &result, format)?;
    Ok(Exit::Done)
}

/// Writes the pages, and returns how many there are. They are for everybody to read, as far as the
/// caller's umask allows.
fn write_all(directory: &Path, umask: Mode) -> io::Result<usize> {
    if !directory.is_dir() {
        std::fs::create_dir_all(directory)?;
        std::fs::set_permissions(directory, permissions(0o777, umask))?;
    }
    let mut command = with_all_flags(Cli::command()).disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages)?;
    pages.iter().try_for_each(|(name, _)| refuse_another_kind(&directory.join(name)))?;
    for (name, page) in &pages {
        // A new file takes the place of the old one: whatever a name may lead to by then, nothing
        // is written through it.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(page)?;
        file.as_file().set_permissions(permissions(0o666, umask))?;
        file.persist(directory.join(name)).map_err(|error| error.error)?;
    }
    Ok(pages.len())
}

/// Refuses a name that is there and is no ordinary file, such as a link to one.
fn refuse_another_kind(file: &Path) -> io::Result<()> {
    let kind = match file.symlink_metadata() {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(found) if found.is_symlink() => "a link, which is not followed",
        Ok(_) => "no ordinary file",
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let cause = format!("{} is {kind}; remove it, or name another directory", file.display());
    Err(io::Error::other(cause))
}

/// A page explains every flag. What `-h` leaves out would have no words there.
fn with_all_flags(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_short_help(false)).mut_subcommands(with_all_flags)
}

fn permissions(mode: u32, umask: Mode) -> Permissions {
    Permissions::from_mode((Mode::from_raw_mode(mode) - umask).bits())
}

/// The name and the text of each page: of this verb, and of those below it.
fn collect(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let version = command.get_version().unwrap_or_default();
    let man = Man::new(command.clone()).source(format!("longshore {version}")).manual("longshore");
    let mut page = Vec::new();
    render(&man, command, &mut page)?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().filter(|it| !it.is_hide_set()).try_for_each(|it| collect(it, pages))
}

/// What clap's own `render` writes, but for examples that keep their lines.
fn render(man: &Man, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    let end = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    sections(&end).to_writer(page)
}

/// The end of a help as sections: a line that ends with a colon heads what is indented below it.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::default();
    let mut is_open = false;
    for line in text.lines() {
        match (line.strip_suffix(':'), line.strip_prefix("  ")) {
            (Some(heading), None) => {
                if is_open {
                    roff.control("fi", []);
                }
                roff.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
                is_open = true;
            }
            (_, Some(indented)) => {
                roff.text([roman(indented)]);
            }
            _ if !line.is_empty() => {
                roff.control("PP", []).text([roman(line)]);
            }
            _ => {}
        }
    }
    if is_open {
        roff.control("fi", []);
    }
    roff
}
