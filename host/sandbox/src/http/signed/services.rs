//! Services of Azure, and what is known of their tokens.

use crate::http::origin::Origin;

/// Services of Azure whose tokens are known: how their hosts end, and for which scope a token is
/// asked. `None` stands for the host itself. ([Services that support Entra
/// authentication](https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identities-status).)
pub(super) const SERVICES: [(&str, Option<&str>); 13] = [
    (BLOB, Some(STORAGE)),
    (".queue.core.windows.net", Some(STORAGE)),
    (TABLE, Some(STORAGE)),
    (".file.core.windows.net", Some(STORAGE)),
    (".dfs.core.windows.net", Some(STORAGE)),
    (KEY_VAULT, Some(VAULT)),
    (".azconfig.io", None),
    (".cognitiveservices.azure.com", Some(COGNITIVE)),
    (".openai.azure.com", Some(COGNITIVE)),
    (".services.ai.azure.com", Some(AI)),
    (".search.windows.net", Some("https://search.azure.com/.default")),
    (EVENT_GRID, Some("https://eventgrid.azure.net/.default")),
    (".servicebus.windows.net", Some("https://servicebus.azure.net/.default")),
];
const EVENT_GRID: &str = ".eventgrid.azure.net";
pub(super) const BLOB: &str = ".blob.core.windows.net";
pub(super) const TABLE: &str = ".table.core.windows.net";
pub(super) const STORAGE: &str = "https://storage.azure.com/.default";
const COGNITIVE: &str = "https://cognitiveservices.azure.com/.default";
const AI: &str = "https://ai.azure.com/.default";
const VAULT: &str = "https://vault.azure.net/.default";
/// Who may write there may let others in.
pub(super) const KEY_VAULT: &str = ".vault.azure.net";

/// Hosts that manage Azure or sign people in, by themselves or by how they end: a token for one of
/// these makes more of itself.
const POWERS: [&str; 16] = [
    "management.azure.com",
    "management.azure.microsoft.scloud",
    "management.core.windows.net",
    "management.usgovcloudapi.net",
    "management.chinacloudapi.cn",
    "management.core.usgovcloudapi.net",
    "management.core.chinacloudapi.cn",
    "microsoftonline.com",
    "microsoftonline.us",
    "microsoftonline.cn",
    "login.chinacloudapi.cn",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
    "graph.windows.net",
    "graph.chinacloudapi.cn",
];

/// The same by the ids of their applications, which scopes name as well ([Application IDs of
/// Microsoft's own
/// applications](https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in)):
/// Azure's management, and the directory of before Microsoft Graph.
const POWERS_BY_ID: [&str; 2] =
    ["797f4846-ba00-4fd7-ba71-dba1f8f63f13", "00000002-0000-0000-c000-000000000000"];

/// Services that take tokens in a form that the host does not write.
pub(super) const TOKENLESS: [(&str, &str); 1] =
    [(".documents.azure.com", "Cosmos DB takes tokens in a form of its own, which is not supported")];

/// What hands out a key or a token that works without the host, by the last part of a path that is
/// posted to: the keys of a project's connections and signatures for its storage ([Connections -
/// Get With Credentials](https://learn.microsoft.com/rest/api/aifoundry/aiprojects/connections)), a
/// token that anybody may use, and a key of a vault.
const KEYS: [&str; 6] =
    ["getconnectionwithcredentials", "credentials", "startpendingupload", "issuetoken", "listkeys", "backup"];
/// Where such a path may be.
const HAVE_KEYS: [&str; 8] = [
    ".services.ai.azure.com",
    ".cognitiveservices.azure.com",
    ".openai.azure.com",
    ".cognitive.microsoft.com",
    KEY_VAULT,
    ".vault.usgovcloudapi.net",
    ".vault.azure.cn",
    ".managedhsm.azure.net",
];

/// How hosts of Azure Storage end, also in other clouds, and those of accounts in zones of DNS.
pub(super) const OF_STORAGE: [&str; 4] =
    [".core.windows.net", ".core.usgovcloudapi.net", ".core.chinacloudapi.cn", ".storage.azure.net"];

/// Whether a path that ends like this, in small letters, gets a key.
pub(super) fn hands_out_keys(last_segment: &str) -> bool {
    KEYS.contains(&last_segment)
}

/// Whether a host has such paths.
pub(super) fn has_keys(host: &str) -> bool {
    HAVE_KEYS.iter().any(|it| host.ends_with(it))
}

/// Whether two origins are, or may be, of one storage account.
pub(super) fn same_account(one: &Origin, other: &Origin) -> bool {
    let account = |origin: &Origin| {
        let host = origin.host();
        OF_STORAGE.iter().find(|it| host.ends_with(**it))?;
        Some(host.split('.').next()?.trim_end_matches("-secondary").to_owned())
    };
    one == other || account(one).is_some_and(|it| account(other) == Some(it))
}

pub(super) fn manages(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    POWERS.iter().any(|it| host == *it || host.strip_suffix(it).is_some_and(|rest| rest.ends_with('.')))
}

/// Which of the known services a host is one of, by how its name ends, and its scope.
pub(super) fn service(host: &str) -> Option<(&'static str, Option<&'static str>)> {
    SERVICES.into_iter().find(|(suffix, _)| {
        // The account's name before the suffix, and nothing that only ends like it. Event Grid has
        // its region there as well.
        let labels = if *suffix == EVENT_GRID { 2 } else { 1 };
        host.strip_suffix(suffix).is_some_and(|name| {
            name.split('.').count() == labels && name.split('.').all(|label| !label.is_empty())
        })
    })
}

/// Whether a host is one of a service that is known here.
pub(super) fn is_known_service(host: &str) -> bool {
    service(host).is_some()
}

pub(super) fn usual_scope(host: &str) -> Option<String> {
    let (_, scope) = service(host)?;
    Some(scope.map_or_else(|| format!("https://{host}/.default"), str::to_owned))
}

/// A scope that was named: a resource, and nothing that makes more of itself.
pub(super) fn checked_scope(scope: &str) -> Result<String, String> {
    let resource = scope.split_once("://").map_or(scope, |(_, rest)| rest);
    let authority = resource.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    if manages(host) || POWERS_BY_ID.contains(&host) {
        return Err(format!("tokens for {host} manage Azure or sign people in, and handlers never do"));
    }
    // With these, a server may read another resource than stands here.
    let is_tricky = |byte: u8| [b'\\', b'%', b'@'].contains(&byte);
    let is_plain = !scope.is_empty() && scope.bytes().all(|it| it.is_ascii_graphic() && !is_tricky(it));
    is_plain.then(|| scope.to_owned()).ok_or_else(|| format!("`{scope}` is no scope"))
}
