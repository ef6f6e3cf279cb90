//! What a service is told to fetch, to move or to bring back. It does so with the rights of the
//! request's own token, so that the other place has to be granted as well.

use http::{HeaderMap, HeaderValue, Uri};

use crate::http::origin::Origin;
use crate::http::signed::path;
use crate::http::signed::signer::Signer;

/// A header that names a blob to copy from, by its URL ([Put Blob From
/// URL](https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url)).
const COPY_SOURCE: &str = "x-ms-copy-source";
/// One that names a file to move, by its path in the same account ([Path
/// Create](https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/create)).
const RENAME_SOURCE: &str = "x-ms-rename-source";
/// One that names a file to move, by its URL ([Rename
/// File](https://learn.microsoft.com/rest/api/storageservices/rename-file)).
const FILE_RENAME_SOURCE: &str = "x-ms-file-rename-source";

/// Headers that say something of a source, and name none.
const OF_SOURCES: [&str; 10] = [
    "x-ms-source-allow-trailing-dot",
    "x-ms-source-range",
    "x-ms-source-content-md5",
    "x-ms-source-content-crc64",
    "x-ms-source-lease-id",
    "x-ms-copy-source-blob-properties",
    "x-ms-copy-source-tag-option",
    "x-ms-file-copy-source-last-write-time",
    "x-ms-file-rename-replace-if-exists",
    "x-ms-file-rename-ignore-readonly",
];
/// The same, by how they begin.
const OF_SOURCES_BEGIN: [&str; 2] = ["x-ms-source-if-", "x-ms-source-encryption-"];

/// Why a request is not signed that names such a place; `None` if none that it names is in the way.
pub(super) fn refusal(
    headers: &HeaderMap,
    signer: &Signer,
    is_granted: impl Fn(&Origin, &str) -> bool,
) -> Option<String> {
    for value in headers.get_all(COPY_SOURCE) {
        if !url(value).is_some_and(|(origin, path)| is_granted(&origin, &path)) {
            return Some(format!("{COPY_SOURCE} names a place that is not granted"));
        }
    }
    // What is moved is gone from where it was: the grant has to be the very same.
    let is_below = |path: &str| path::segments(path).is_ok_and(|it| signer.covers(&it));
    for value in headers.get_all(RENAME_SOURCE) {
        let path = value.to_str().unwrap_or("\\").split('?').next().unwrap_or_default();
        if !is_below(path) {
            return Some(format!("{RENAME_SOURCE} names a path that is not below {}", signer.prefix));
        }
    }
    for value in headers.get_all(FILE_RENAME_SOURCE) {
        if !url(value).is_some_and(|(origin, path)| origin == signer.origin && is_below(&path)) {
            return Some(format!("{FILE_RENAME_SOURCE} names a place that is not below {}", signer.prefix));
        }
    }
    if signer.grants_all() {
        return None;
    }
    let unknown = headers.keys().map(http::HeaderName::as_str).find(|it| names_a_source(it));
    unknown.map(|name| format!("the header {name} names a place that nobody checks here"))
}

fn url(value: &HeaderValue) -> Option<(Origin, String)> {
    let url: Uri = value.to_str().ok()?.parse().ok()?;
    Some((Origin::of(&url)?, url.path().to_owned()))
}

/// Whether a header that is not known here may name another place.
fn names_a_source(name: &str) -> bool {
    let Some(of_storage) = name.strip_prefix("x-ms-") else { return false };
    let names = ["source", "deleted-", "rename"].iter().any(|it| of_storage.contains(it));
    let known = [COPY_SOURCE, RENAME_SOURCE, FILE_RENAME_SOURCE].contains(&name)
        || OF_SOURCES.contains(&name)
        || OF_SOURCES_BEGIN.iter().any(|it| name.starts_with(it));
    names && !known && !name.starts_with("x-ms-meta-")
}
