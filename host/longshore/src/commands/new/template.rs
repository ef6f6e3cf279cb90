//! The files of a project. They are those of `examples/hello`, as they lie there.

use super::name::ProjectName;
use super::sdk::Sdk;
use crate::cli::Language;

/// How the projects of `examples/hello` are called.
const NAME: &str = "hello";

/// A file to be written.
#[derive(Debug)]
pub(super) struct ProjectFile {
    /// Relative to the project's folder, with `/` between its parts.
    pub(super) path: &'static str,
    pub(super) text: String,
}

/// A file of a project that has no name of its own yet.
#[derive(Debug)]
pub(super) struct Template {
    path: &'static str,
    text: &'static str,
}

/// Reads files of a folder of `examples/hello` into the program. They are named one by one: what is
/// built or installed in that folder is no part of the project.
macro_rules! folder {
    ($folder:literal: $($path:literal)*) => {
        &[$(Template {
            path: $path,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello/", $folder, "/", $path)),
        }),*]
    };
}

const RUST: &[Template] = folder!("rust":
    ".github/workflows/ci.yml" ".gitignore" "Cargo.toml" "README.md" "longshore.toml"
    "samples/bad.json" "samples/good.json" "samples/retried.json" "src/lib.rs");

const PYTHON: &[Template] = folder!("python":
    ".github/workflows/ci.yml" ".gitignore" "README.md" "handler.py" "longshore.toml" "requirements.txt"
    "samples/bad.json" "samples/good.json" "samples/retried.json" "test_handler.py");

const TYPESCRIPT: &[Template] = folder!("typescript":
    ".github/workflows/ci.yml" ".gitignore" "README.md" "longshore.toml" "package.json"
    "samples/bad.json" "samples/good.json" "samples/retried.json" "src/handler.test.ts" "src/handler.ts"
    "tsconfig.json");

const JAVASCRIPT: &[Template] = folder!("javascript":
    ".github/workflows/ci.yml" ".gitignore" "README.md" "longshore.toml" "package.json"
    "samples/bad.json" "samples/good.json" "samples/retried.json" "src/handler.js" "src/handler.test.js");

/// What a project needs to be deployed by `azd up`.
pub(super) const AZURE: &[Template] = &[
    Template { path: "azure.yaml", text: include_str!("../../../../../infra/project/azure.yaml") },
    Template { path: "infra/README.md", text: include_str!("../../../../../infra/project/infra/README.md") },
    // Compiled, so that it is one file, and nothing in it is the project's to keep up.
    Template { path: "infra/longshore.json", text: include_str!("../../../../../infra/azuredeploy.json") },
    Template {
        path: "infra/main.bicep",
        text: include_str!("../../../../../infra/project/infra/main.bicep"),
    },
    Template {
        path: "infra/main.bicepparam",
        text: include_str!("../../../../../infra/project/infra/main.bicepparam"),
    },
];

/// The files of a project in this language, in the order of their paths.
pub(super) fn of(lang: Language) -> &'static [Template] {
    match lang {
        Language::Rust => RUST,
        Language::Python => PYTHON,
        Language::Typescript => TYPESCRIPT,
        Language::Javascript => JAVASCRIPT,
    }
}

impl Template {
    /// The file of a project with this name, which takes the package for handlers from there.
    pub(super) fn fill(&self, name: &ProjectName, lang: Language, sdk: Option<&Sdk>) -> ProjectFile {
        let (in_text, in_file) = (name.to_string(), name.of_file());
        let mut text = String::new();
        let mut rest = self.text;
        // In one go: the name may hold that of the example.
        while let Some((before, after)) = rest.split_once(NAME) {
            text.push_str(before);
            let is_file = before.ends_with('/') && after.starts_with(".wasm");
            text.push_str(if is_file { &in_file } else { &in_text });
            rest = after;
        }
        text.push_str(rest);
        if let Some((version, package)) = sdk.map(|it| it.dependency(lang)) {
            text = text.replace(version, &package);
        }
        ProjectFile { path: self.path, text }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::process::Command;

    use clap::ValueEnum;

    use super::*;

    const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    fn filled(lang: Language, name: &str, clone: Option<&str>) -> Vec<ProjectFile> {
        let name = ProjectName::of(Path::new(name), lang).unwrap();
        let sdk = clone.map(|it| Sdk::of_clone(Path::new(it), lang).unwrap());
        of(lang).iter().map(|it| it.fill(&name, lang, sdk.as_ref())).collect()
    }

    #[test]
    fn a_project_has_every_file_of_its_example_and_no_other() {
        for lang in Language::value_variants() {
            let folder = format!("examples/hello/{}", lang.flag());
            let listed =
                Command::new("git").args(["ls-files", &folder]).current_dir(REPOSITORY).output().unwrap();
            let listed = String::from_utf8(listed.stdout).unwrap();
            let there: BTreeSet<_> =
                listed.lines().filter_map(|it| it.strip_prefix(&folder)?.strip_prefix('/')).collect();
            assert!(there.len() > 8, "{lang:?}: {listed}");
            assert_eq!(of(*lang).iter().map(|it| it.path).collect::<BTreeSet<_>>(), there, "{lang:?}");
        }
    }

    #[test]
    fn the_name_takes_the_place_of_the_examples_everywhere() {
        for lang in Language::value_variants() {
            let files = filled(*lang, "my-prices", None);
            assert!(files.iter().all(|it| !it.text.contains(NAME)), "{lang:?}");
            let readme = files.iter().find(|it| it.path == "README.md").unwrap();
            assert!(readme.text.starts_with(&format!("# my-prices, in {}\n", lang.title())));
        }
        let rust = filled(Language::Rust, "my-prices", None);
        let says = |path: &str, words: &str| rust.iter().any(|it| it.path == path && it.text.contains(words));
        assert!(says("Cargo.toml", "name = \"my-prices\""));
        assert!(says("longshore.toml", "/release/my_prices.wasm\""), "as cargo calls the file");
        let alike = filled(Language::Rust, "hello-hello", None);
        let project = alike.iter().find(|it| it.path == "longshore.toml").unwrap();
        assert!(project.text.contains("/release/hello_hello.wasm\""), "{}", project.text);
    }

    #[test]
    fn a_clone_takes_the_place_of_the_packages_version() {
        for lang in Language::value_variants() {
            let sdk = Sdk::of_clone(Path::new(REPOSITORY), *lang).unwrap();
            let (version, package) = sdk.dependency(*lang);
            let holds = |files: &[ProjectFile], words: &str| {
                files.iter().filter(|it| it.text.contains(words)).count()
            };
            let (published, local) =
                (filled(*lang, "prices", None), filled(*lang, "prices", Some(REPOSITORY)));
            assert_eq!((holds(&published, version), holds(&published, &package)), (1, 0), "{lang:?}");
            assert_eq!((holds(&local, version), holds(&local, &package)), (0, 1), "{lang:?}");
        }
        let refused = Sdk::of_clone(Path::new("/"), Language::Rust).unwrap_err();
        assert!(
            refused.contains("--sdk / is no clone") && refused.contains("guest/sdk/Cargo.toml"),
            "{refused}"
        );
    }
}
