//! Opens the page in the browser of this desktop.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use crate::exit::{Clause, Failure};
use longshore_dev::page::SignIn;

/// For how long a link is good that a browser is given. A file that is left leads nowhere then.
const OPENED_WITHIN: Duration = Duration::from_secs(60);

/// Opens links. Other users of this machine see the words that a process is started with: a browser
/// is started with the name of a file that its owner alone can read, and that leads to the page.
pub(super) struct LinkOpener {
    /// Where the file is made: browsers that are packed as snaps see no `/tmp` of others.
    pub(super) directory: PathBuf,
    /// The last file.
    pub(super) file: Mutex<Option<NamedTempFile>>,
}

/// Opens the page. That nothing was found which opens it is `said` later.
///
/// # Errors
/// No file can be made, or nothing opens it.
pub(super) fn open_link(
    opener: &LinkOpener,
    sign_in: &SignIn,
    said: &mpsc::UnboundedSender<String>,
) -> Result<(), Failure> {
    let made = opener.file_with(&sign_in.link_for(OPENED_WITHIN));
    let file = made.during(|| format!("no file can be made in {}", opener.directory.display()))?;
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(file.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn();
    // The one before goes: it was opened, or was not.
    *opener.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    match child {
        Ok(mut child) => {
            let said = said.clone();
            // A thread, which the end of this program does not wait for: a browser may stay.
            std::thread::spawn(move || match child.wait() {
                Ok(status) if !status.success() => said.send(format!(
                    "{program} found nothing that opens the page ({status}): open the link yourself"
                )),
                _ => Ok(()),
            });
            Ok(())
        }
        Err(error) => {
            Err(Failure::other(format!("{program} cannot be started: {error}; open the link yourself")))
        }
    }
}

impl LinkOpener {
    /// Takes the last file away.
    pub(super) fn close(&self) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A file for this user alone, which leads to a link. The link has no character that means
    /// something to HTML.
    fn file_with(&self, link: &str) -> std::io::Result<NamedTempFile> {
        // A directory that is named is known to the browser, whatever its own is.
        let directory = std::path::absolute(&self.directory)?;
        let mut file =
            tempfile::Builder::new().prefix("longshore-page-").suffix(".html").tempfile_in(directory)?;
        writeln!(
            file,
            "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer>\
             <meta http-equiv=refresh content=\"0; url={link}\"><title>longshore</title>"
        )?;
        file.flush()?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_that_leads_to_the_page_is_for_its_owner_alone_and_goes_with_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let opener = LinkOpener { directory: directory.path().into(), file: Mutex::default() };
        let file = opener.file_with("http://a.localhost:1/#t=x").unwrap();
        assert_eq!(file.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("url=http://a.localhost:1/#t=x\""), "{text}");
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
