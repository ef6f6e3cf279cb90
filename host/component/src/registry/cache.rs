//! Manifests and layers on disk, each under its digest.
//!
//! Any number of processes use one directory. A file appears under its name whole, by renaming. It
//! is checked against its name whenever it is read, so that its writer does not matter. Machine
//! code is the exception: it is checked when it is unpacked, and mapped into memory as it lies from
//! then on. For this it is trusted as executables are.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use etcetera::BaseStrategy;
use longshore_sandbox::{check_private_file, digest, digits, private_directory, read_file};

use super::artifact::MAX_LAYER;

/// The largest file that is read, in bytes.
const MAX_KEPT: usize = MAX_LAYER as usize;
/// Where artifacts are, within the cache directory.
const ARTIFACTS: &str = "oci";

/// The directory; or none, where there is no place for one, or others may write it.
#[derive(Clone, Debug)]
pub(super) struct Cache(Option<PathBuf>);

impl Cache {
    /// In `directory`, or in the platform's cache directory.
    pub(super) fn open(directory: Option<&Path>) -> Self {
        let own = || Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("longshore"));
        let directory = directory.map(Path::to_owned).or_else(own);
        let private = directory.filter(|directory| match private_directory(directory, ARTIFACTS) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "the cache is not used: each start fetches the component again");
                false
            }
        });
        Self(private.map(|directory| directory.join(ARTIFACTS)))
    }

    /// What has this digest, if it is there and whole.
    pub(super) async fn get(&self, digest: &str) -> Option<Bytes> {
        let (path, name) = (self.path(digest)?, digest.to_owned());
        tokio::task::spawn_blocking(move || read(&path, &name)).await.ok()?
    }

    /// Keeps what has this digest. That it cannot be kept is said, and no reason to fail.
    pub(super) async fn put(&self, digest: &str, bytes: Bytes) {
        if let Some(path) = self.path(digest) {
            keep(path, bytes).await;
        }
    }

    /// Where the machine code lies that was unpacked from this layer, for this component.
    pub(super) async fn unpacked(&self, layer: &str, component: &str) -> Option<PathBuf> {
        let path = self.unpacked_path(layer, component)?;
        is_ours(&path).then_some(path)
    }

    /// Keeps unpacked machine code, and says where.
    pub(super) async fn put_unpacked(&self, layer: &str, component: &str, code: Bytes) -> Option<PathBuf> {
        let path = self.unpacked_path(layer, component)?;
        keep(path.clone(), code).await.then_some(path)
    }

    /// Both are in its name: a manifest could pair the layer with a component that it was not made
    /// from.
    fn unpacked_path(&self, layer: &str, component: &str) -> Option<PathBuf> {
        let (layer, component) = (self.path(layer)?, self.path(component)?);
        let name = [layer.file_name()?.to_str()?, component.file_name()?.to_str()?].join("-");
        Some(layer.with_file_name(name))
    }

    /// The digest becomes a file name: nothing but hexadecimal digits may.
    fn path(&self, digest: &str) -> Option<PathBuf> {
        Some(self.0.as_ref()?.join(digits(digest)?))
    }
}

/// Whether there is such a file, and nobody else could have written it.
fn is_ours(path: &Path) -> bool {
    match check_private_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => {
            tracing::warn!(%error, "a file in the cache is not used");
            false
        }
    }
}

fn read(path: &Path, name: &str) -> Option<Bytes> {
    if !is_ours(path) {
        return None;
    }
    let bytes = read_file(path, MAX_KEPT).ok()?;
    if digest(&bytes) == name {
        return Some(bytes.into());
    }
    tracing::warn!(path = %path.display(), "a damaged file in the cache is not used");
    // It would be replaced by the next fetch anyhow; that it cannot be removed changes nothing.
    let _ = std::fs::remove_file(path);
    None
}

async fn keep(path: PathBuf, bytes: Bytes) -> bool {
    let written =
        tokio::task::spawn_blocking(move || write(&path, &bytes).map_err(|error| (path, error))).await;
    match written {
        Ok(Ok(())) => true,
        Ok(Err((path, error))) => {
            tracing::warn!(path = %path.display(), %error, "what was fetched from the registry is not kept: the next start fetches it again");
            false
        }
        Err(_) => false,
    }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    // Or a power cut could leave the name and not the content: machine code is not checked again.
    file.as_file().sync_data()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_found_by_its_digest_and_only_while_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(directory.path()));
        let name = digest(b"component");
        assert_eq!(cache.get(&name).await, None);
        cache.put(&name, Bytes::from_static(b"component")).await;
        assert_eq!(cache.get(&name).await.unwrap(), "component");
        let path = cache.path(&name).unwrap();
        std::fs::write(&path, "componenX").unwrap();
        assert_eq!((cache.get(&name).await, path.exists()), (None, false));
    }

    #[tokio::test]
    async fn processes_that_write_the_same_at_once_do_not_disturb_each_other_and_leave_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = Bytes::from(vec![7_u8; 1 << 20]);
        let name = digest(&bytes);
        let tasks = (0..8).map(|_| {
            let (cache, bytes, name) = (Cache::open(Some(directory.path())), bytes.clone(), name.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    cache.put(&name, bytes.clone()).await;
                    assert!(cache.get(&name).await.is_some(), "it was read half written");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path().join("oci")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_others_could_have_written_and_what_is_a_pipe_is_not_used() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("cache");
        let cache = Cache::open(Some(&below));
        let name = digest(b"component");
        cache.put(&name, Bytes::from_static(b"component")).await;
        let code = cache.put_unpacked(&name, &name, Bytes::from_static(b"code")).await.unwrap();
        for path in [cache.path(&name).unwrap(), code.clone()] {
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        }
        assert_eq!((cache.get(&name).await, cache.unpacked(&name, &name).await), (None, None));
        // Writing it anew makes it ours.
        cache.put(&name, Bytes::from_static(b"component")).await;
        assert!(cache.get(&name).await.is_some());
        std::fs::set_permissions(&below, PermissionsExt::from_mode(0o777)).unwrap();
        assert!(Cache::open(Some(&below)).get(&name).await.is_none());

        std::fs::remove_file(&code).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&code).status().unwrap().success());
        assert_eq!(cache.unpacked(&name, &name).await, None);
    }

    #[test]
    fn no_digest_leads_out_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(directory.path()));
        for digest in ["sha256:../../etc/passwd", "sha512:aa", "", &format!("sha256:{}", "/".repeat(64))] {
            assert_eq!(cache.path(digest), None);
        }
    }
}
