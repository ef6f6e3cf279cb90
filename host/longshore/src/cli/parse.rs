//! What this process was told: its command line, its variables and its project file.

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, Parser};

use super::project::Project;
use super::variables::{misspelt, without_unset};
use crate::shown::shown;

/// Reads the command line, the variables of this process and the project file.
///
/// # Errors
/// What clap says of a command line that is wrong, a variable that is none of ours, and what is
/// wrong with the project file.
pub(crate) fn parse<C: Parser>() -> Result<(C, Project), clap::Error> {
    let command = C::command();
    let arguments: Vec<_> = std::env::args_os().collect();
    // A misspelt variable may be why something is missing: it is said first.
    let misspelt = misspelt(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()), &command);
    let (mut project, wrong) = match Project::find(&command, &arguments) {
        Ok(project) => (project, misspelt),
        Err(cause) => (Project::default(), misspelt.or(Some(cause))),
    };
    let parse = |command: Command| command.try_get_matches_from(&arguments);
    let mut parsed = parse(without_unset(project.apply(command)));
    // What the file says gives way to a flag that contradicts it.
    while parsed.as_ref().is_ok_and(|matches| project.yields_to(matches)) {
        parsed = parse(without_unset(project.apply(C::command())));
    }
    let matches = match parsed {
        // The help shows every variable, and those as well that say nothing.
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let is_short =
                arguments.iter().any(|it| it == "-h") && !arguments.iter().any(|it| it == "--help");
            parse(if is_short { short_help(C::command()) } else { C::command() })?
        }
        Err(error) if error.exit_code() == 0 => return Err(error),
        // An editor asks for it while the file is being written.
        Ok(matches) if asks_for_the_schema(&matches) => matches,
        parsed => match wrong {
            Some(cause) => {
                let lines: Vec<_> = cause.lines().map(shown).collect();
                return Err(C::command().error(ErrorKind::UnknownArgument, lines.join("\n")));
            }
            None => parsed?,
        },
    };
    Ok((C::from_arg_matches(&matches)?, project))
}

/// The command as `-h` shows it: it fits a screen, and leaves the variables to `--help`.
pub(super) fn short_help(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_env(true)).mut_subcommands(short_help)
}

/// Whether the command line is `config schema`, which reads nothing of the file.
fn asks_for_the_schema(matches: &ArgMatches) -> bool {
    let config = matches.subcommand().filter(|(verb, _)| *verb == "config");
    config.is_some_and(|(_, config)| config.subcommand_name() == Some("schema"))
}
