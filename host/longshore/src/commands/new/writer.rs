//! Writes a project: all of it, or nothing.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::template::ProjectFile;
use crate::exit::{Clause, Failure};

/// Makes the folder. It may be there, if it is empty. All files are written beside it first, so
/// that there is no time at which it holds some of them.
///
/// # Errors
/// The folder holds something, or it cannot be written. Nothing is left of what was begun.
pub(super) fn write(folder: &Path, files: &[ProjectFile]) -> Result<(), Failure> {
    refuse_what_is_there(folder)?;
    let cannot_make = || format!("cannot make the folder {}", folder.display());
    let parent = folder.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).during(cannot_make)?;
    let begun = Begun::beside(folder, parent).during(cannot_make)?;
    for file in files {
        begun.write(file).during(|| format!("cannot write {}", folder.join(file.path).display()))?;
    }
    begun.finish(folder).during(cannot_make)
}

fn refuse_what_is_there(folder: &Path) -> Result<(), Failure> {
    let mend = "name a folder that is not there, or move it away";
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format!("the folder {} is not empty; {mend}", folder.display()))),
        },
        // A link to nothing is there, and is no folder.
        Err(_) if folder.is_file() || folder.is_symlink() => {
            Err(Failure::usage(format!("{} is there already, and is no folder; {mend}", folder.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).during(|| format!("cannot look into the folder {}", folder.display())),
    }
}

/// A folder that is being written. It is removed when it is dropped, unless it was finished.
struct Begun(PathBuf);

impl Begun {
    fn beside(folder: &Path, parent: &Path) -> io::Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let begun = parent.join(format!(".{name}.{}", std::process::id()));
        fs::create_dir(&begun)?;
        Ok(Self(begun))
    }

    fn write(&self, file: &ProjectFile) -> io::Result<()> {
        let path = self.0.join(file.path);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(path, &file.text)
    }

    /// Gives it its name. An empty folder of that name is replaced, and one that was filled in the
    /// meantime is an error.
    fn finish(self, folder: &Path) -> io::Result<()> {
        // A link to an empty folder stays a link.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        fs::rename(&self.0, folder)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // After the renaming there is nothing to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<ProjectFile> {
        let file = |path, text: &str| ProjectFile { path, text: text.into() };
        vec![file("README.md", "# a"), file("src/lib.rs", "fn a() {}")]
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_project_is_written_where_nothing_is() {
        let above = tempfile::tempdir().unwrap();
        let (new, empty) = (above.path().join("work/a"), above.path().join("b"));
        fs::create_dir(&empty).unwrap();
        for folder in [&new, &empty] {
            write(folder, &files()).unwrap();
            assert_eq!(names(folder), ["README.md", "src"]);
            assert_eq!(fs::read_to_string(folder.join("src/lib.rs")).unwrap(), "fn a() {}");
        }
        assert_eq!(
            (names(above.path()), names(&above.path().join("work"))),
            (vec!["b".into(), "work".into()], vec!["a".into()])
        );
    }

    #[test]
    fn a_folder_that_holds_something_stays_as_it_is() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("mine.txt"), "mine").unwrap();
        let refused = write(&folder, &files()).unwrap_err().message();
        assert!(refused.contains("/a is not empty; name a folder that is not there"), "{refused}");
        let refused = write(&folder.join("mine.txt"), &files()).unwrap_err().message();
        assert!(refused.contains("mine.txt is there already, and is no folder"), "{refused}");
        std::os::unix::fs::symlink("nowhere", above.path().join("c")).unwrap();
        let refused = write(&above.path().join("c"), &files()).unwrap_err().message();
        assert!(refused.contains("/c is there already"), "{refused}");
        assert_eq!(
            (names(above.path()), names(&folder)),
            (vec!["a".into(), "c".into()], vec!["mine.txt".into()])
        );
    }

    #[test]
    fn what_cannot_be_written_whole_is_not_written_at_all() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a");
        let mut broken = files();
        // It needs a folder where the first one has put a file.
        broken.push(ProjectFile { path: "README.md/more", text: String::new() });
        let refused = write(&folder, &broken).unwrap_err().message();
        assert!(refused.contains("cannot write") && refused.contains("a/README.md/more"), "{refused}");
        assert_eq!(names(above.path()), Vec::<String>::new());
    }
}
