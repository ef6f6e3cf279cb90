//! What is never signed, although it goes where it may.

use http::HeaderMap;
use http::Uri;
use http::request::Parts;

use crate::http::origin::Origin;
use crate::http::signed::path::{self, PathPrefix};
use crate::http::signed::signer::{Addition, Signer};

/// Headers by which a server takes a request for another one: its method, its path, its host or
/// its destination. Some are told by how they begin.
const DISGUISES: [&str; 6] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-host", "forwarded", "destination"];
const DISGUISES_BEGIN: [&str; 3] = ["x-original-", "x-rewrite-", "x-forwarded-"];
/// They only say where a request came from.
const NO_DISGUISES: [&str; 2] = ["x-forwarded-for", "x-forwarded-proto"];

/// Headers that carry a second token.
const SECOND_TOKENS: [&str; 2] = ["x-ms-authorization-auxiliary", "x-ms-copy-source-authorization"];

/// A header that names a blob to copy from, by its URL ([Put Blob From
/// URL](https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url)).
const COPY_SOURCE: &str = "x-ms-copy-source";
/// One that names a file to move, by its path in the same account ([Path
/// Create](https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/create)).
const RENAME_SOURCE: &str = "x-ms-rename-source";

/// Headers of storage that speak of another place, by a part of their names, and the beginnings of
/// those that only say how it is read.
const ELSEWHERE: [&str; 3] = ["source", "rename", "deleted-"];
const ONLY_HOW: [&str; 11] = [
    COPY_SOURCE,
    RENAME_SOURCE,
    "x-ms-source-range",
    "x-ms-source-content-",
    "x-ms-source-if-",
    "x-ms-source-lease-id",
    "x-ms-source-encryption-",
    "x-ms-copy-source-blob-properties",
    "x-ms-copy-source-tag-option",
    "x-ms-file-rename-replace-if-exists",
    "x-ms-file-rename-ignore-readonly",
];
/// Headers of storage that let others in: by public access ([Create
/// Container](https://learn.microsoft.com/rest/api/storageservices/create-container)), or by the
/// rights of files.
const LETS_IN: [&str; 6] = [
    "x-ms-blob-public-access",
    "x-ms-acl",
    "x-ms-permissions",
    "x-ms-owner",
    "x-ms-group",
    "x-ms-file-permission",
];
/// What says that a file has the rights that it would have anyway.
const AS_USUAL: [&str; 2] = ["inherit", "preserve"];

/// Operations of other services that hand out keys or signatures, by the scope of their tokens and
/// the last part of their paths ([Connections - Get With
/// Credentials](https://learn.microsoft.com/rest/api/aifoundry/aiprojects/connections/get-with-credentials),
/// [issueToken](https://learn.microsoft.com/azure/ai-services/authentication), [Backup
/// Key](https://learn.microsoft.com/rest/api/keyvault/keys/backup-key/backup-key)).
const HANDS_OUT: [(&str, &str); 5] = [
    ("https://ai.azure.com", "getconnectionwithcredentials"),
    ("https://ai.azure.com", "credentials"),
    ("https://ai.azure.com", "startpendingupload"),
    ("https://cognitiveservices.azure.com", "issuetoken"),
    ("https://vault.azure.net", "backup"),
];

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
    signer: &Signer,
    source_is_granted: impl Fn(&Origin, &str) -> bool,
) -> Option<String> {
    let Signer { prefix, addition, .. } = signer;
    let method = request.method.as_str();
    if ["TRACE", "TRACK", "CONNECT"].iter().any(|it| it.eq_ignore_ascii_case(method)) {
        return Some(format!("{method} would repeat or tunnel what the host adds"));
    }
    if method.bytes().any(|it| it.is_ascii_lowercase()) {
        return Some(format!("some servers take {method} for another method than others do"));
    }
    let names = || request.headers.keys().map(|it| it.as_str());
    if let Some(name) = names().find(|name| is_disguise(name)) {
        return Some(format!("the header {name} can make it another request than the one that was checked"));
    }
    let Addition::Token { scope, .. } = addition else { return None };
    if let Some(name) = SECOND_TOKENS.into_iter().find(|it| request.headers.contains_key(*it)) {
        return Some(format!("the header {name} carries a token, and handlers have none"));
    }
    if let Some(name) = names().find(|name| speaks_of_elsewhere(name)) {
        return Some(format!("the header {name} names a place that nobody checks"));
    }
    let lets_in = |name: &&str| {
        let is_usual =
            |it: &http::HeaderValue| AS_USUAL.iter().any(|usual| it.as_bytes() == usual.as_bytes());
        LETS_IN.iter().any(|it| name.starts_with(it)) && !request.headers.get_all(*name).iter().all(is_usual)
    };
    if let Some(name) = names().find(lets_in) {
        return Some(format!("the header {name} would let others in"));
    }
    let path = path::decode_lossy(request.uri.path()).to_ascii_lowercase();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if HANDS_OUT.iter().any(|(of, what)| scope.starts_with(of) && last == *what) {
        return Some(format!("{last} hands out what works elsewhere"));
    }
    // The operations in it have paths and methods of their own.
    let takes_batches = prefix.is_whole_host() && signer.methods.is_none();
    if last == "$batch" && !takes_batches {
        return Some(format!("a batch may reach beyond {signer}"));
    }
    if request.uri.query().unwrap_or_default().to_ascii_lowercase().contains("%u") {
        return Some("its query has an encoding that only some servers read (`%u`)".into());
    }
    for (name, value) in pairs(&request.uri) {
        if name.contains(char::is_control) || value.contains(char::is_control) {
            return Some("its query has a control character".into());
        }
        if value == DELEGATION_KEY {
            return Some("a user delegation key works everywhere for seven days".into());
        }
        if ACCESS.iter().any(|(of, what)| name == *of && value == *what) {
            return Some("it would let others in".into());
        }
        if name == "comp" && value == BATCH && !takes_batches {
            return Some(format!("a batch may reach beyond {signer}"));
        }
    }
    sources(&request.headers, prefix, source_is_granted)
}

fn is_disguise(name: &str) -> bool {
    let begins = DISGUISES_BEGIN.iter().any(|it| name.starts_with(it)) && !NO_DISGUISES.contains(&name);
    // Servers that hand headers on as variables take `_` for `-`.
    begins || DISGUISES.contains(&name) || name.contains('_')
}

fn speaks_of_elsewhere(name: &str) -> bool {
    let is_known = || ONLY_HOW.iter().any(|it| name.starts_with(it));
    name.starts_with("x-ms-") && ELSEWHERE.iter().any(|it| name.contains(it)) && !is_known()
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
