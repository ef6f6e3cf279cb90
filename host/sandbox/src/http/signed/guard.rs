//! What is never signed, although it goes where it may.

use http::HeaderMap;
use http::Method;
use http::Uri;
use http::request::Parts;

use crate::http::origin::Origin;
use crate::http::signed::path::{self, PathPrefix};
use crate::http::signed::signer::Addition;

/// Headers by which a server takes a request for another one: its method, its path, or who sends
/// it.
const DISGUISES: [&str; 8] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-original-host",
];

/// Headers that carry a second token.
const SECOND_TOKENS: [&str; 2] = ["x-ms-authorization-auxiliary", "x-ms-copy-source-authorization"];

/// A header that names a blob to copy from, by its URL ([Put Blob From
/// URL](https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url)).
const COPY_SOURCE: &str = "x-ms-copy-source";
/// One that names a file to move, by its path in the same account ([Path
/// Create](https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/create)).
const RENAME_SOURCE: &str = "x-ms-rename-source";

/// Operations on storage that give more than an answer: a key that signs for seven days whatever
/// its holder likes ([Get User Delegation
/// Key](https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key)), and other
/// operations in the body, whose paths nobody checks here.
const DELEGATION_KEY: &str = "userdelegationkey";
const BATCH: &str = "batch";
/// Operations on storage that let others in: a policy for signatures and public access ([Set
/// Container ACL](https://learn.microsoft.com/rest/api/storageservices/set-container-acl)), or the
/// rights of files ([Path
/// Update](https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/update)).
const ACCESS: [(&str, &str); 3] =
    [("comp", "acl"), ("action", "setaccesscontrol"), ("action", "setaccesscontrolrecursive")];

/// Why a request is not signed, in words; `None` if it is.
pub(super) fn refusal(
    request: &Parts,
    prefix: &PathPrefix,
    addition: &Addition,
    source_is_granted: impl Fn(&Origin, &str) -> bool,
) -> Option<String> {
    if matches!(request.method, Method::TRACE | Method::CONNECT) {
        return Some(format!("{} would repeat or tunnel what the host adds", request.method));
    }
    if let Some(name) = DISGUISES.into_iter().find(|it| request.headers.contains_key(*it)) {
        return Some(format!("the header {name} can make it another request than the one that was checked"));
    }
    if let Addition::Header { .. } = addition {
        return None;
    }
    if let Some(name) = SECOND_TOKENS.into_iter().find(|it| request.headers.contains_key(*it)) {
        return Some(format!("the header {name} carries a token, and handlers have none"));
    }
    for (name, value) in pairs(&request.uri) {
        if value == DELEGATION_KEY {
            return Some("a user delegation key works everywhere for seven days".into());
        }
        if ACCESS.iter().any(|(of, what)| name == *of && value == *what) {
            return Some("it would let others in".into());
        }
        if name == "comp" && value == BATCH && !prefix.is_whole_host() {
            return Some(format!("a batch may reach beyond {prefix}"));
        }
    }
    sources(&request.headers, prefix, source_is_granted)
}

/// Why what the service is to fetch is not granted.
fn sources(
    headers: &HeaderMap,
    prefix: &PathPrefix,
    is_granted: impl Fn(&Origin, &str) -> bool,
) -> Option<String> {
    for value in headers.get_all(COPY_SOURCE) {
        let source = value.to_str().ok().and_then(|it| it.parse::<Uri>().ok());
        let granted = source.as_ref().is_some_and(|source| {
            Origin::of(source).is_some_and(|origin| is_granted(&origin, source.path()))
        });
        if !granted {
            return Some(format!("{COPY_SOURCE} names a place that is not granted"));
        }
    }
    for value in headers.get_all(RENAME_SOURCE) {
        let path = value.to_str().unwrap_or("\\").split('?').next().unwrap_or_default();
        if !path::segments(path).is_ok_and(|it| prefix.covers(&it)) {
            return Some(format!("{RENAME_SOURCE} names a path that is not below {prefix}"));
        }
    }
    None
}

/// Names and values of a query, in small letters, decoded as often as a server may.
fn pairs(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let query = uri.query().unwrap_or_default().to_owned();
    let plain = |text: &str| {
        let mut text = text.replace('+', " ");
        for _ in 0..3 {
            text = path::decode_lossy(&text);
        }
        text.trim().to_ascii_lowercase()
    };
    query
        .split(['&', ';'])
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (plain(name), plain(value))
        })
        .collect::<Vec<_>>()
        .into_iter()
}
