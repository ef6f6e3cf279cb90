//! What a repository holds: each artifact once, with its tags, and when it was made.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::access::Access;
use super::address::Address;
use super::artifact::Manifest;
use super::error::RegistryError;
use super::push::CREATED;
use super::repository::Repository;
use super::session::{Purpose, Session};

/// How many tags are looked at. Of more, those are whose names come last: names that are times are
/// the newest.
const MAX_TAGS: usize = 200;

/// How many manifests are read at a time.
const MAX_READS_IN_FLIGHT: usize = 8;

/// One artifact of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Release {
    /// The digest of its manifest.
    pub digest: String,
    /// Its tags, in the order of their names.
    pub tags: Vec<String>,
    /// When it was pushed, as `longshore push` writes it down.
    pub created: Option<Timestamp>,
    /// The digest of the component in it.
    pub component: String,
}

/// What was found in a repository.
#[derive(Clone, Debug, Default)]
pub struct Releases {
    /// The newest first. Those without a time come last.
    pub releases: Vec<Release>,
    /// How many tags were not looked at.
    pub left_out: usize,
}

/// Lists what has tags. What is no component is left out.
///
/// # Errors
/// When the registry does not tell: see [`RegistryError`].
pub async fn releases(repository: &Repository, access: &Access) -> Result<Releases, RegistryError> {
    let session = Session::begin(repository.address(), access, Purpose::Pull).await?;
    let mut tags = session.tags().await?;
    tags.sort_unstable_by(|one, other| other.cmp(one));
    let left_out = tags.len().saturating_sub(MAX_TAGS);
    tags.truncate(MAX_TAGS);
    let mut found = BTreeMap::<String, Release>::new();
    let addresses = tags.iter().rev().filter_map(|tag| Some((tag, repository.tagged(tag)?)));
    let reading = addresses.map(async |(tag, address)| (tag, read(&session, &address).await));
    let mut reading = stream::iter(reading).buffered(MAX_READS_IN_FLIGHT);
    while let Some((tag, read)) = reading.next().await {
        let read = match read {
            Ok(read) => read,
            // A tag can be taken away while it is looked at.
            Err(RegistryError::NoComponent { .. } | RegistryError::NotFound { .. }) => continue,
            Err(error) => return Err(error),
        };
        found.entry(read.digest.clone()).or_insert(read).tags.push(tag.clone());
    }
    let mut releases: Vec<_> = found.into_values().collect();
    releases.sort_by_key(|release| Reverse(release.created));
    Ok(Releases { releases, left_out })
}

/// What has this tag or this digest. Its tags are not looked for.
///
/// # Errors
/// When there is no such thing, or the registry does not tell.
pub async fn release(address: &Address, access: &Access) -> Result<Release, RegistryError> {
    let session = Session::begin(address, access, Purpose::Pull).await?;
    read(&session, address).await
}

async fn read(session: &Session<'_>, address: &Address) -> Result<Release, RegistryError> {
    let (bytes, digest) = session.manifest(address).await?;
    let manifest = Manifest::read(&bytes)?;
    let created = manifest.annotations.get(CREATED).and_then(|text| text.parse().ok());
    Ok(Release { digest, tags: Vec::new(), created, component: manifest.component.digest })
}
