//! The [connection
//! string](https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string) of
//! a storage account, with the name of a queue in it.

use url::Url;

use crate::parse::fields::Fields;
use crate::parse::malformed::{Malformed, Parsed};
use crate::parse::storage;
use crate::place::{AccountKey, Place, StorageAccess};
use crate::this_host::is_this_host;

/// The fields that such a string begins with, as the portal, the Azure CLI and people write it.
const FIRST: [&str; 9] = [
    "UseDevelopmentStorage",
    "DefaultEndpointsProtocol",
    "AccountName",
    "AccountKey",
    "QueueEndpoint",
    "BlobEndpoint",
    "FileEndpoint",
    "TableEndpoint",
    "SharedAccessSignature",
];

/// The account of the emulator, its key and the port of its queues, which Microsoft publishes
/// ([Connect to
/// Azurite](https://learn.microsoft.com/azure/storage/common/storage-connect-azurite)).
const EMULATOR: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_PORT: u16 = 10_001;

const NAME_IT: &str = "add `;QueueName=orders` with the queue's name";
const FORM: &str = "write `DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;QueueName=orders`, or `QueueEndpoint=https://…;SharedAccessSignature=…;QueueName=orders`";

/// Reads a text, if it is such a string.
pub(crate) fn parse(text: &str) -> Option<Parsed> {
    let fields = Fields::of(text);
    fields.begins_with(&FIRST).then(|| read(&fields))
}

fn read(fields: &Fields<'_>) -> Parsed {
    let wrong = |cause: &str, mend| Malformed { cause: cause.into(), mend: Some(mend) };
    let queue = fields.get("QueueName").ok_or_else(|| wrong("it names no queue", NAME_IT))?;
    let is_emulator = fields.is("UseDevelopmentStorage", "true");
    let account = fields.get("AccountName").or(is_emulator.then_some(EMULATOR));
    let endpoint = match (fields.get("QueueEndpoint"), account) {
        (Some(endpoint), _) => endpoint.to_owned(),
        _ if is_emulator => emulator(fields.get("DevelopmentStorageProxyUri"))
            .ok_or_else(|| wrong("its DevelopmentStorageProxyUri is no URL", FORM))?,
        (None, Some(account)) => {
            let protocol = fields.get("DefaultEndpointsProtocol").unwrap_or("https");
            let suffix = fields.get("EndpointSuffix").unwrap_or("core.windows.net");
            format!("{protocol}://{account}.queue.{suffix}")
        }
        (None, None) => return Err(wrong("it has no endpoint of queues", FORM)),
    };
    let signature = fields.get("SharedAccessSignature").map(|it| it.trim_start_matches('?'));
    let query = signature.map(|it| format!("?{it}")).unwrap_or_default();
    // The text of a parse error does not repeat the URL.
    let url = Url::parse(&format!("{}/{queue}{query}", endpoint.trim_end_matches('/')))
        .map_err(|error| wrong(&format!("its endpoint is no URL: {error}"), FORM))?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !["http", "https"].contains(&url.scheme()) || !is_plain {
        return Err(wrong("its endpoint is not that of queues", FORM));
    }
    let (place, name) = storage::parse(&url)?;
    let Place::Storage { endpoint, access: None } = place else { return Ok((place, name)) };
    let key = fields.get("AccountKey").or(is_emulator.then_some(EMULATOR_KEY));
    let (Some(account), Some(key)) = (account, key) else {
        return Err(wrong("it has neither a shared access signature nor the account's name and key", FORM));
    };
    if url.scheme() == "http" && !url.host().is_some_and(|host| is_this_host(&host)) {
        let mend = "write `DefaultEndpointsProtocol=https`, or an endpoint that begins with `https`";
        return Err(wrong("what a key signs does not travel in the clear, but on this very host", mend));
    }
    let key = AccountKey { account: account.to_owned(), key: key.to_owned() };
    Ok((Place::Storage { endpoint, access: Some(StorageAccess::Key(key)) }, name))
}

/// Where the emulator's queues are: on this host, or on the one that is named instead.
fn emulator(named: Option<&str>) -> Option<String> {
    let mut url = Url::parse(named.unwrap_or("http://127.0.0.1")).ok()?;
    url.set_port(Some(EMULATOR_PORT)).ok()?;
    url.set_path(EMULATOR);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use crate::QueueUrl;
    use crate::place::{Place, StorageAccess};

    /// Where it is, and how the caller proves who asks.
    fn read(text: &str) -> (String, String) {
        let url: QueueUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let Place::Storage { access: Some(access), .. } = url.place() else { panic!("{text}: {url:?}") };
        let access = match access {
            StorageAccess::Signature(signature) => signature.0.clone(),
            StorageAccess::Key(key) => format!("{} {}", key.account, key.key),
        };
        (url.to_string(), access)
    }

    #[test]
    fn a_connection_string_is_the_queue_that_it_names() {
        let emulator = format!("devstoreaccount1 {}", super::EMULATOR_KEY);
        let local = "http://127.0.0.1:10001/devstoreaccount1/orders";
        let azure = "https://acme.queue.core.windows.net/orders";
        for (text, url, access) in [
            ("UseDevelopmentStorage=true;QueueName=orders", local, &*emulator),
            ("usedevelopmentstorage=TRUE; queuename=orders;", local, &emulator),
            (
                "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://localhost;QueueName=orders",
                "http://localhost:10001/devstoreaccount1/orders",
                &emulator,
            ),
            (
                "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0PQ==;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;QueueName=orders",
                local,
                "devstoreaccount1 c2VjcmV0PQ==",
            ),
            (
                "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c2VjcmV0PQ==;EndpointSuffix=core.windows.net;QueueName=orders",
                azure,
                "acme c2VjcmV0PQ==",
            ),
            ("AccountName=acme;AccountKey=c2Vj;QueueName=orders", azure, "acme c2Vj"),
            (
                "AccountName=acme;AccountKey=c2Vj;EndpointSuffix=core.chinacloudapi.cn;QueueName=orders",
                "https://acme.queue.core.chinacloudapi.cn/orders",
                "acme c2Vj",
            ),
            (
                "BlobEndpoint=https://acme.blob.core.windows.net/;QueueEndpoint=https://acme.queue.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D;QueueName=orders",
                azure,
                "sv=1&sig=a%3D",
            ),
            ("SharedAccessSignature=?sv=1&sig=x;AccountName=acme;QueueName=orders", azure, "sv=1&sig=x"),
        ] {
            assert_eq!(read(text), (url.to_owned(), access.to_owned()), "{text}");
        }
        let poison =
            "UseDevelopmentStorage=true;QueueName=orders".parse::<QueueUrl>().unwrap().poison().unwrap();
        assert!(poison.token_host().is_none(), "the key goes with it: {poison:?}");
    }

    #[test]
    fn a_string_that_names_no_queue_or_no_way_in_is_refused_without_its_secrets() {
        for (text, words) in [
            ("UseDevelopmentStorage=true", "it names no queue; add `;QueueName="),
            ("AccountName=acme;AccountKey=c2VjcmV0", "it names no queue"),
            ("AccountName=acme;QueueName=orders", "neither a shared access signature nor"),
            ("AccountKey=c2VjcmV0;QueueName=orders", "no endpoint of queues"),
            ("UseDevelopmentStorage=false;AccountKey=c2VjcmV0;QueueName=orders", "no endpoint of queues"),
            ("AccountName=acme;AccountKey=c2VjcmV0;QueueName=Orders", "lowercase"),
            (
                "DefaultEndpointsProtocol=http;AccountName=acme;AccountKey=c2VjcmV0;QueueName=orders",
                "does not travel in the clear",
            ),
            (
                "QueueEndpoint=http://azurite:10001/acme;AccountName=acme;AccountKey=c2VjcmV0;QueueName=orders",
                "what a key signs does not travel in the clear",
            ),
            (
                "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite;QueueName=orders",
                "what a key signs does not travel in the clear",
            ),
            (
                "QueueEndpoint=https://acme.queue.core.windows.net;SharedAccessSignature=sv=c2VjcmV0;QueueName=orders",
                "no `sig`",
            ),
            (
                "QueueEndpoint=https://c2VjcmV0@evil.example/;AccountName=a;AccountKey=b;QueueName=orders",
                "not that of queues",
            ),
            (
                "QueueEndpoint=sb://acme;AccountName=a;AccountKey=c2VjcmV0;QueueName=orders",
                "not that of queues",
            ),
        ] {
            let error = text.parse::<QueueUrl>().unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("the connection string: ") && said.contains(words), "{text}: {said}");
            assert!(said.contains("; ") && !format!("{said} {error:?}").contains("c2Vj"), "{said}");
        }
    }
}
