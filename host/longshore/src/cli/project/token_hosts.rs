//! To which hosts a project file may send tokens: it comes with a repository, and whoever wrote it
//! gets no token of those who work in it. A flag and a variable are one's own words.

use super::super::outbox::OutboxQueue;
use longshore_azure::arm::Endpoint;
use longshore_azure::logs::LogsEndpoint;
use longshore_queue::QueueUrl;
use longshore_sandbox::IdentityGrant;

/// Why a value is not taken from a file, although its flag takes it.
pub(super) fn strays(key: &str, value: &str) -> Option<String> {
    let host = match key {
        "arm-endpoint" => {
            let endpoint: Endpoint = value.parse().ok()?;
            (!endpoint.is_of_a_cloud()).then(|| endpoint.to_string())
        }
        "logs-endpoint" => {
            let endpoint: LogsEndpoint = value.parse().ok()?;
            (!endpoint.is_of_a_cloud()).then(|| endpoint.to_string())
        }
        "queue" | "poison-queue" => value.parse::<QueueUrl>().ok()?.token_goes_elsewhere(),
        "outbox" => value.parse::<OutboxQueue>().ok()?.url.token_goes_elsewhere(),
        "http-identity" => {
            let grant: IdentityGrant = value.parse().ok()?;
            grant.goes_elsewhere().then(|| grant.origin().to_string())
        }
        _ => None,
    }?;
    Some(format!(
        "a token would go to {host}, which is no host of Azure's clouds for it and not this one; a file does not decide that: name it with --{key} or LONGSHORE_{}, if you trust it",
        key.to_uppercase().replace('-', "_")
    ))
}

#[cfg(test)]
mod tests {
    use super::strays;

    #[test]
    fn a_file_sends_tokens_to_the_clouds_and_to_this_host_and_nowhere_else() {
        for (key, value, is_taken) in [
            ("arm-endpoint", "https://management.azure.com", true),
            ("arm-endpoint", "https://management.usgovcloudapi.net/", true),
            ("arm-endpoint", "https://management.chinacloudapi.cn", true),
            ("arm-endpoint", "http://127.0.0.1:8080", true),
            ("arm-endpoint", "https://management.azure.com:8443", false),
            ("arm-endpoint", "https://management.azure.com.evil.example", false),
            ("logs-endpoint", "https://api.loganalytics.azure.com", true),
            ("logs-endpoint", "https://api.loganalytics.io", true),
            ("logs-endpoint", "https://api.loganalytics.us", true),
            ("logs-endpoint", "https://api.loganalytics.azure.cn", true),
            ("logs-endpoint", "http://localhost:8080", true),
            ("logs-endpoint", "https://logs.evil.example", false),
            ("queue", "file:./queues/orders", true),
            ("queue", "https://acme.queue.core.windows.net/orders", true),
            ("queue", "https://evil.example/acme/orders?sig=x", true),
            ("queue", "https://evil.example/acme/orders", false),
            ("poison-queue", "sb://evil.example/orders", false),
            ("outbox", "invoices=https://acme.queue.core.windows.net/invoices", true),
            ("outbox", "invoices=https://evil.example/acme/invoices", false),
            ("http-identity", "POST acme.table.core.windows.net/bookings", true),
            ("http-identity", "acme.azconfig.io", true),
            ("http-identity", "api.example.com=api://1234/.default", true),
            ("http-identity", "localhost:10000=https://storage.azure.com/.default", true),
            ("http-identity", "evil.example=https://storage.azure.com/.default", false),
            ("http-identity", "evil.example=https://vault.azure.net//.default", false),
            ("http-identity", "acme.vault.azure.net=https://storage.azure.com/.default", false),
            ("component", "oci://evil.example/order:1", true),
        ] {
            let why = strays(key, value);
            assert_eq!(why.is_none(), is_taken, "{key} = {value}: {why:?}");
            assert!(why.is_none_or(|why| why.contains(&format!("--{key} or LONGSHORE_"))));
        }
    }
}
