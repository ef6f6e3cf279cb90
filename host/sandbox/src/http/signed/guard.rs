//! What is never signed, although it goes where it may.

use http::Uri;
use http::request::Parts;

use crate::http::origin::Origin;
use crate::http::signed::path;
use crate::http::signed::services;
use crate::http::signed::signer::{Addition, Signer};
use crate::http::signed::sources;

/// Headers by which a server takes a request for another one: its method, its path, its host, or
/// where it ends. [`is_disguise`] names more of them by how they begin.
const DISGUISES: [&str; 8] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-host",
    "forwarded",
    "destination",
    "via",
    "trailer",
];

/// Headers that carry a second token.
const SECOND_TOKENS: [&str; 2] = ["x-ms-authorization-auxiliary", "x-ms-copy-source-authorization"];

/// Headers that let others in, or say who may: with them, what is made is open to more than those
/// who were let in before ([Create
/// Container](https://learn.microsoft.com/rest/api/storageservices/create-container), [Path
/// Create](https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/create)).
const ACCESS_HEADERS: [&str; 6] = [
    "x-ms-blob-public-access",
    "x-ms-acl",
    "x-ms-permissions",
    "x-ms-owner",
    "x-ms-group",
    "x-ms-file-permission-key",
];
/// One that every request has that makes a file, and that lets nobody in while it says so ([Create
/// File](https://learn.microsoft.com/rest/api/storageservices/create-file)).
const FILE_PERMISSION: &str = "x-ms-file-permission";
const AS_USUAL: [&str; 2] = ["inherit", "preserve"];

/// Operations on storage that give more than an answer: a key that signs for seven days whatever
/// its holder likes ([Get User Delegation
/// Key](https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key)), and other
/// operations in the body, whose methods and paths nobody checks here.
const DELEGATION_KEY: &str = "userdelegationkey";
const BATCH: &str = "batch";
const BATCH_SEGMENT: &str = "$batch";
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
    segments: Option<&[String]>,
    source_is_granted: impl Fn(&Origin, &str) -> bool,
) -> Option<String> {
    let method = request.method.as_str();
    if !method.bytes().all(|it| it.is_ascii_uppercase()) {
        return Some(format!("`{method}` is no method in capitals, and a server may take it for one"));
    }
    if ["TRACE", "TRACK", "CONNECT"].contains(&method) {
        return Some(format!("{method} would repeat or tunnel what the host adds"));
    }
    if let Some(name) = request.headers.keys().map(http::HeaderName::as_str).find(|it| is_disguise(it)) {
        return Some(format!("the header {name} can make it another request than the one that was checked"));
    }
    let pairs = pairs(&request.uri);
    if signer.methods.is_some() && pairs.iter().any(|(name, _)| name == "_method") {
        return Some("`_method` can make it another request than the one that was checked".into());
    }
    let Addition::Token { scope, .. } = &signer.addition else { return None };
    if let Some(name) = SECOND_TOKENS.into_iter().find(|it| request.headers.contains_key(*it)) {
        return Some(format!("the header {name} carries a token, and handlers have none"));
    }
    // Of a path that is no plain one, nobody can say what it ends with.
    if segments.is_none() && (signer.methods.is_some() || services::has_keys(scope)) {
        return Some("its path is no plain one, and could be another than the one that was checked".into());
    }
    let parts = segments.unwrap_or_default();
    let last = parts.iter().rfind(|it| !it.is_empty()).map(|it| it.to_ascii_lowercase());
    let last = last.as_deref().unwrap_or_default();
    if services::hands_out_keys(scope, last) {
        return Some(format!("`{last}` hands out a key that works without the host"));
    }
    for (name, value) in &pairs {
        if value == DELEGATION_KEY {
            return Some("a user delegation key works everywhere for seven days".into());
        }
        if ACCESS.iter().any(|(of, what)| name == of && value == what) {
            return Some("it would let others in".into());
        }
    }
    let lets_in = |name: &str| {
        let is_usual =
            |it: &http::HeaderValue| name == FILE_PERMISSION && AS_USUAL.iter().any(|usual| it == usual);
        !request.headers.get_all(name).iter().all(is_usual)
    };
    if let Some(name) = ACCESS_HEADERS.into_iter().chain([FILE_PERMISSION]).find(|it| lets_in(it)) {
        return Some(format!("the header {name} would let others in"));
    }
    let is_batch =
        last == BATCH_SEGMENT || pairs.iter().any(|(name, value)| name == "comp" && value == BATCH);
    if is_batch && !(signer.prefix.is_whole_host() && signer.methods.is_none()) {
        return Some(format!(
            "a batch may reach beyond {}, and holds any methods; it needs a grant of the whole host without methods",
            signer.prefix
        ));
    }
    sources::refusal(&request.headers, signer, source_is_granted)
}

/// Whether a header can make a server see another request. Some servers read `_` as `-`.
fn is_disguise(name: &str) -> bool {
    let forwarded = name.strip_prefix("x-forwarded-").is_some_and(|it| !["for", "proto"].contains(&it));
    DISGUISES.contains(&name)
        || forwarded
        || name.contains('_')
        || ["x-original-", "x-rewrite-"].iter().any(|it| name.starts_with(it))
}

/// Names and values of a query, in small letters, decoded as often as a server may.
fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let plain = |text: &str| {
        let mut text = text.replace('+', " ");
        for _ in 0..3 {
            text = path::decode_lossy(&text);
        }
        let ends = |it: char| it.is_whitespace() || it.is_control();
        text.trim_matches(ends).to_ascii_lowercase()
    };
    let query = uri.query().unwrap_or_default();
    let pairs = query.split(['&', ';']).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}
