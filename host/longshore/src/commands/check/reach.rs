//! Whether a handler's grants with the host's identity are good for anything: whether there is a
//! token, and whether the service lets it in.

use futures_util::future::join_all;
use url::Url;

use super::finding::{Finding, Known};
use super::ruling::Ruling;
use longshore_azure::{Azure, Looked, Token};
use longshore_sandbox::{IdentityGrant, Method, StorageService};

/// Versions of the services, as they are asked for. Tokens need 2017-11-09 for blobs, and
/// 2020-12-06 for tables.
const VERSION: &str = "2020-12-06";

/// How the services write their lists. Tables have no XML without a format of their own.
const BLOBS: &str = "application/xml";
const ROWS: &str = "application/json;odata=nometadata";

/// Methods that change something.
const WRITING: [Method; 4] = [Method::PUT, Method::POST, Method::PATCH, Method::DELETE];

/// What can be known of each grant. A token goes only to hosts that `trusts` is true for.
pub(super) async fn findings(grants: &[IdentityGrant], trusts: fn(&IdentityGrant) -> bool) -> Vec<Finding> {
    // At once: an identity that does not answer is waited for once.
    join_all(grants.iter().map(|grant| of(grant, trusts))).await.into_iter().flatten().collect()
}

async fn of(grant: &IdentityGrant, trusts: fn(&IdentityGrant) -> bool) -> Vec<Finding> {
    let finding = |check, needed, Ruling(result, detail)| {
        let of = grant.to_string();
        Finding { check, of, result, needed, detail }
    };
    let tokens = Azure::shared().tokens_of(grant.scope().to_owned(), grant.client_id());
    let token = match tokens.token().await {
        Ok(token) => token,
        Err(error) => return vec![finding("identity token", true, Ruling(Known::No, error.to_string()))],
    };
    let mut findings = vec![finding("identity token", true, Ruling(Known::Yes, String::new()))];
    let Some(service) = grant.storage() else { return findings };
    let reads = if !grant.takes(&Method::GET) {
        Ruling::unknown("the grant is not for GET; only what it is for would tell")
    } else if trusts(grant) {
        reads(grant, service, &token).await
    } else {
        Ruling::unknown(
            "it was not asked, since it would get your token: only the job names this host; if you trust it, name the grant with --http-identity",
        )
    };
    findings.push(finding("identity reads", true, reads));
    if WRITING.iter().any(|it| grant.takes(it)) {
        findings.push(finding("identity writes", false, Ruling::unknown("only writing would tell")));
    }
    findings
}

/// Whether the identity may read there.
async fn reads(grant: &IdentityGrant, service: StorageService, token: &Token) -> Ruling {
    let look = async |service| -> Result<Looked, String> {
        let url = list(grant, service).ok_or("its name is none that a URL may have")?;
        let accept = if service == StorageService::Table { ROWS } else { BLOBS };
        Azure::shared().look(url, VERSION, accept, token).await
    };
    let looked = match service {
        StorageService::Unnamed => {
            let looked = look(StorageService::Blob).await;
            let is_table = |it: &Looked| it.server.as_ref().is_some_and(|name| name.contains("Table"));
            if looked.as_ref().is_ok_and(is_table) { look(StorageService::Table).await } else { looked }
        }
        named => look(named).await,
    };
    match looked {
        Ok(looked) => ruling(grant, &looked),
        Err(cause) => Ruling::unknown(format!("{} did not answer: {cause}", grant.origin())),
    }
}

fn ruling(grant: &IdentityGrant, Looked { status, error_code, .. }: &Looked) -> Ruling {
    let code = error_code.as_deref().unwrap_or("no error code");
    let answered = format!("{} answered HTTP {status} ({code})", grant.origin());
    match status {
        200..300 => Ruling(Known::Allowed, String::new()),
        // What is not there is told to those who may read it.
        404 => Ruling(Known::No, format!("{answered}: what the grant names is not there")),
        401 => Ruling(Known::Denied, format!("{answered}: it does not take this identity's token")),
        403 if grant.path().is_empty() => Ruling::unknown(format!(
            "{answered}: it does not let the identity list all there is; name a container or table in the grant to have that asked"
        )),
        403 => Ruling(
            Known::Denied,
            format!(
                "{answered}: give the identity a role there, such as Storage Blob Data Contributor or Storage Table Data Contributor"
            ),
        ),
        _ => Ruling::unknown(answered),
    }
}

/// Where the start of what a grant names is listed ([List
/// Blobs](https://learn.microsoft.com/rest/api/storageservices/list-blobs), [Query
/// Entities](https://learn.microsoft.com/rest/api/storageservices/query-entities)).
fn list(grant: &IdentityGrant, service: StorageService) -> Option<Url> {
    let mut url = Url::parse(&format!("https://{}/", grant.origin())).ok()?;
    let is_table = service == StorageService::Table;
    // With an address for a host, the account comes first in the path.
    let in_path = usize::from(matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_))));
    let (account, named) = grant.path().split_at(in_path.min(grant.path().len()));
    let mut path: Vec<String> = account.to_vec();
    match named.first() {
        Some(table) if is_table => path.push(format!("{table}()")),
        Some(container) => path.push(container.clone()),
        None if is_table => path.push("Tables".into()),
        None => {}
    }
    url.path_segments_mut().ok()?.clear().extend(&path);
    let mut query = url.query_pairs_mut();
    if is_table {
        query.append_pair("$top", "1");
    } else {
        if let [_, below @ ..] = named {
            query.append_pair("restype", "container");
            if !below.is_empty() {
                query.append_pair("prefix", &below.join("/"));
            }
        }
        query.append_pair("comp", "list").append_pair("maxresults", "1");
    }
    drop(query);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_grant_names_is_asked_for_and_nothing_else() {
        let storage = "=https://storage.azure.com/.default";
        for (grant, service, expected) in [
            (
                "acme.blob.core.windows.net".to_owned(),
                StorageService::Blob,
                "https://acme.blob.core.windows.net/?comp=list&maxresults=1",
            ),
            (
                "acme.blob.core.windows.net/orders".to_owned(),
                StorageService::Blob,
                "https://acme.blob.core.windows.net/orders?restype=container&comp=list&maxresults=1",
            ),
            (
                "acme.blob.core.windows.net/orders/2026/a+b".to_owned(),
                StorageService::Blob,
                "https://acme.blob.core.windows.net/orders?restype=container&prefix=2026%2Fa%2Bb&comp=list&maxresults=1",
            ),
            (
                "acme.table.core.windows.net/orders".to_owned(),
                StorageService::Table,
                "https://acme.table.core.windows.net/orders()?%24top=1",
            ),
            (
                "acme.table.core.windows.net".to_owned(),
                StorageService::Table,
                "https://acme.table.core.windows.net/Tables?%24top=1",
            ),
            (
                format!("127.0.0.1:10000/devstoreaccount1/orders{storage}"),
                StorageService::Blob,
                "https://127.0.0.1:10000/devstoreaccount1/orders?restype=container&comp=list&maxresults=1",
            ),
            (
                format!("127.0.0.1:10002/devstoreaccount1/orders{storage}"),
                StorageService::Table,
                "https://127.0.0.1:10002/devstoreaccount1/orders()?%24top=1",
            ),
        ] {
            assert_eq!(list(&grant.parse().unwrap(), service).unwrap().as_str(), expected, "{grant}");
        }
    }

    #[test]
    fn an_answer_that_says_nothing_of_the_right_is_not_known() {
        let known = |grant: &str, status| {
            let grant: IdentityGrant = grant.parse().unwrap();
            ruling(&grant, &Looked { status, error_code: None, server: None }).0
        };
        let (account, container) = ("acme.blob.core.windows.net", "acme.blob.core.windows.net/orders");
        for (grant, status, expected) in [
            (container, 200, Known::Allowed),
            (container, 401, Known::Denied),
            (container, 403, Known::Denied),
            (container, 404, Known::No),
            (container, 409, Known::Unknown),
            (container, 503, Known::Unknown),
            (account, 200, Known::Allowed),
            // A role on one container does not list the account.
            (account, 403, Known::Unknown),
        ] {
            assert_eq!(known(grant, status), expected, "{grant} {status}");
        }
    }
}
