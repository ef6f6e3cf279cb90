//! What is never signed, although it goes where it may.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Uri};

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

/// Headers that say where a request goes and ends, by which a server could be misled.
const FRAMING: [&str; 4] = ["host", "content-length", "transfer-encoding", "authorization"];

/// Headers that carry a second token.
const SECOND_TOKENS: [&str; 2] = ["x-ms-authorization-auxiliary", "x-ms-copy-source-authorization"];

/// Headers that let others in, or say who may: with them, what is made is open to more than those
/// who were let in before ([Create
/// Container](https://learn.microsoft.com/rest/api/storageservices/create-container), [Path
/// Create](https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/create)).
const ACCESS_HEADERS: [&str; 8] = [
    "x-ms-blob-public-access",
    "x-ms-acl",
    "x-ms-permissions",
    "x-ms-umask",
    "x-ms-mode",
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

/// Why a request is not signed, in words; `None` if it is. `segments` are those of its path, or the
/// trick that it tries.
pub(super) fn refusal(
    request: &Parts,
    signer: &Signer,
    segments: &Result<Vec<String>, &'static str>,
    source_is_granted: impl Fn(&Origin, &str) -> bool,
) -> Option<String> {
    let method = request.method.as_str();
    if !method.bytes().all(|it| it.is_ascii_uppercase()) {
        return Some(format!("`{method}` is no method in capitals, and a server may take it for one"));
    }
    if ["TRACE", "TRACK", "CONNECT"].contains(&method) {
        return Some(format!("{method} would repeat or tunnel what the host adds"));
    }
    let names = || request.headers.keys().map(HeaderName::as_str);
    if let Some(name) = names().find(|it| is_disguise(it, &signer.addition)) {
        return Some(format!("the header {name} can make it another request than the one that was checked"));
    }
    let pairs = pairs(&request.uri);
    if signer.methods.is_some() && pairs.iter().any(|(name, _)| name == "_method") {
        return Some("`_method` can make it another request than the one that was checked".into());
    }
    let path = path::decode_lossy(request.uri.path()).to_ascii_lowercase();
    let last = path.rsplit('/').find(|it| !it.is_empty()).unwrap_or_default();
    let may_hand_out_keys = request.method == Method::POST && services::has_keys(signer.origin.host());
    if may_hand_out_keys && services::hands_out_keys(last) {
        return Some(format!("`{last}` hands out a key that works without the host"));
    }
    // Of such a path, nobody can say what it ends with. An empty part of it takes nothing away.
    if let Err(trick) = segments
        && *trick != path::EMPTY_PART
        && (signer.methods.is_some() || may_hand_out_keys)
    {
        return Some(format!("{trick}, and it could be another than the one that was checked"));
    }
    let Addition::Token { .. } = &signer.addition else { return None };
    if let Some(name) = SECOND_TOKENS.into_iter().find(|it| request.headers.contains_key(*it)) {
        return Some(format!("the header {name} carries a token, and handlers have none"));
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
        let is_usual = |it: &HeaderValue| {
            name == FILE_PERMISSION
                && AS_USUAL.iter().any(|usual| it.as_bytes().eq_ignore_ascii_case(usual.as_bytes()))
        };
        !request.headers.get_all(name).iter().all(is_usual)
    };
    if let Some(name) = ACCESS_HEADERS.into_iter().chain([FILE_PERMISSION]).find(|it| lets_in(it)) {
        return Some(format!("the header {name} would let others in"));
    }
    let is_batch =
        last == BATCH_SEGMENT || pairs.iter().any(|(name, value)| name == "comp" && value == BATCH);
    if is_batch && !signer.grants_all() {
        return Some(format!(
            "a batch may reach beyond {}, and holds any methods; it needs a grant of the whole host without methods",
            signer.prefix
        ));
    }
    sources::refusal(&request.headers, signer, source_is_granted)
}

/// Whether a header can make a server see another request. Servers that hand headers on as
/// variables read `_` as `-`. Names of metadata have no `-`, so that theirs are left alone.
fn is_disguise(name: &str, addition: &Addition) -> bool {
    let is = |name: &str| {
        let forwarded = name.strip_prefix("x-forwarded-").is_some_and(|it| !["for", "proto"].contains(&it));
        DISGUISES.contains(&name)
            || forwarded
            || ["x-original-", "x-rewrite-"].iter().any(|it| name.starts_with(it))
    };
    if !name.contains('_') || name.starts_with("x-ms-meta-") {
        return is(name);
    }
    let read = name.replace('_', "-");
    let added = match addition {
        Addition::Token { .. } => "authorization",
        Addition::Header { name, .. } => name.as_str(),
    };
    is(&read) || read == added || read.starts_with("x-ms-") || FRAMING.contains(&&*read)
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
