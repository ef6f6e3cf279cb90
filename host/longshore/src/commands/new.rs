//! `longshore new`: a project to begin with.

mod name;
mod sdk;
mod shell;
mod template;
mod toolchain;
mod writer;

use rustix::fs::Mode;
use serde::Serialize;

use self::name::ProjectName;
use self::sdk::Sdk;
use self::shell::quoted;
use self::toolchain::MissingTool;
use super::print;
use crate::cli::{Format, Language, NewArgs};
use crate::exit::{Exit, Failure};

/// What is said where the package for handlers is named by its version.
const UNPUBLISHED: &str = "the next steps fail: no registry has the package longshore-guest yet, and one of that name there would be by somebody else. Make the project again with --sdk CLONE, the folder of a clone of longshore's repository";

/// What was made.
#[derive(Serialize)]
struct NewProject {
    folder: String,
    name: String,
    language: &'static str,
    files: Vec<&'static str>,
    /// What the language needs, and this machine does not have.
    missing: Vec<MissingTool>,
    /// The commands that come next, in the new folder.
    next: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

pub(super) fn execute(args: &NewArgs, umask: Mode, format: Format) -> Result<Exit, Failure> {
    let NewArgs { folder, lang, sdk, azure } = args;
    let name = ProjectName::of(folder, *lang).map_err(Failure::usage)?;
    let sdk = sdk.as_deref().map(|clone| Sdk::of_clone(clone, *lang)).transpose().map_err(Failure::usage)?;
    let files: Vec<_> = template::of(*lang)
        .iter()
        .chain(if *azure { template::AZURE } else { &[] })
        .map(|it| it.fill(&name, *lang, sdk.as_ref()))
        .collect();
    // It is the user's source, to be shared like any other.
    rustix::process::umask(umask);
    writer::write(folder, &files)?;
    let mut missing = toolchain::missing(*lang, folder);
    missing.extend(sdk.as_ref().and_then(|it| it.unbuilt(*lang)));
    let made = NewProject {
        folder: folder.display().to_string(),
        name: name.to_string(),
        language: lang.flag(),
        files: files.iter().map(|it| it.path).collect(),
        missing,
        next: next(*lang),
        note: sdk.is_none().then_some(UNPUBLISHED),
    };
    match format {
        Format::Json => print::json(&made)?,
        Format::Table => made.print(*lang),
    }
    Ok(Exit::Done)
}

impl NewProject {
    fn print(&self, lang: Language) {
        print::line(&format!("made {}, a handler in {}:", self.folder, lang.title()));
        self.files.iter().for_each(|file| print::line(&format!("  {file}")));
        for tool in &self.missing {
            print::line(&format!("missing: {}; {}. This gets it:", tool.needed, tool.found));
            print::line(&format!("  {}", tool.install));
        }
        if let Some(note) = self.note {
            print::note(note);
        }
        print::line("next:");
        print::line(&format!("  cd {}", quoted(&self.folder)));
        self.next.iter().for_each(|command| print::line(&format!("  {command}")));
    }
}

/// What builds, tests and calls the handler, in the new folder.
fn next(lang: Language) -> Vec<&'static str> {
    let native = match lang {
        Language::Rust => "cargo test",
        Language::Python => {
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python -m unittest"
        }
        Language::Typescript | Language::Javascript => "npm install && npm test",
    };
    vec![native, "longshore build", "longshore invoke --file samples/good.json"]
}
