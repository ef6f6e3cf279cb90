//! Where Log Analytics is asked, and which workspace.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::arm::Endpoint;
use crate::http::is_this_host;

/// The endpoint of the public cloud ([Request
/// format](https://learn.microsoft.com/azure/azure-monitor/logs/api/request-format)).
const PUBLIC: &str = "https://api.loganalytics.azure.com/";
/// The same by its older name.
const PUBLIC_BEFORE: &str = "https://api.loganalytics.io/";
/// The audience of its tokens, which is the older name of the same service.
const PUBLIC_SCOPE: &str = "https://api.loganalytics.io/.default";
/// Resource Manager in the other clouds, and Log Analytics there ([Azure
/// Government](https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure)).
const CLOUDS: [(&str, &str); 2] = [
    ("management.usgovcloudapi.net", "https://api.loganalytics.us/"),
    ("management.chinacloudapi.cn", "https://api.loganalytics.azure.cn/"),
];

/// Where Log Analytics is: the one of a cloud, or a server on this very host, which may be plain
/// HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogsEndpoint(Url);

impl LogsEndpoint {
    /// The endpoint of the cloud that this Resource Manager is of.
    pub fn beside(arm: &Endpoint) -> Self {
        let host = arm.host();
        let of_cloud = CLOUDS.iter().find(|(manager, _)| host == *manager).map(|(_, logs)| *logs);
        // The only way to a URL is to parse one, and these are constants.
        Self(Url::parse(of_cloud.unwrap_or(PUBLIC)).expect("the endpoint of a cloud is a URL"))
    }

    /// Whether it is that of a cloud, or on this very host: a token may go there, whoever named it.
    pub fn is_of_a_cloud(&self) -> bool {
        let mut known = CLOUDS.iter().map(|(_, logs)| *logs).chain([PUBLIC, PUBLIC_BEFORE]);
        known.any(|logs| self.0.as_str() == logs) || is_this_host(&self.0)
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// The scope of tokens: each cloud has its own. A server on this host takes those of the public
    /// cloud.
    pub(super) fn scope(&self) -> String {
        match CLOUDS.iter().find(|(_, logs)| self.0.as_str() == *logs) {
            Some((_, logs)) => format!("{logs}.default"),
            None => PUBLIC_SCOPE.to_owned(),
        }
    }
}

impl FromStr for LogsEndpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; write it as in {PUBLIC}"))?;
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            return Err(format!("an endpoint is a scheme and a host, as in {PUBLIC}"));
        }
        if url.scheme() != "https" && !(url.scheme() == "http" && is_this_host(&url)) {
            return Err("a token does not travel in the clear; use https".into());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for LogsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A workspace's own id, a GUID: the portal calls it *Workspace ID*, and Resource Manager
/// `customerId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceId(String);

impl FromStr for WorkspaceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split('-').map(str::len);
        let is_guid = parts.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        if !is_guid {
            return Err("a workspace is named by its id, a GUID; `az containerapp env show …` of the job's environment shows it as customerId".into());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_an_endpoint_and_tokens_of_its_own() {
        for (arm, logs, scope) in [
            ("https://management.azure.com", PUBLIC, PUBLIC_SCOPE),
            (
                "https://management.usgovcloudapi.net",
                "https://api.loganalytics.us/",
                "https://api.loganalytics.us/.default",
            ),
            (
                "https://management.chinacloudapi.cn",
                "https://api.loganalytics.azure.cn/",
                "https://api.loganalytics.azure.cn/.default",
            ),
            ("http://127.0.0.1:8080", PUBLIC, PUBLIC_SCOPE),
        ] {
            let endpoint = LogsEndpoint::beside(&arm.parse().unwrap());
            assert_eq!((endpoint.to_string().as_str(), endpoint.scope().as_str()), (logs, scope), "{arm}");
        }
    }

    #[test]
    fn an_endpoint_is_https_or_on_this_host() {
        for (text, good) in [
            ("https://api.loganalytics.us", true),
            ("http://127.0.0.1:8080", true),
            ("http://api.loganalytics.azure.com", false),
            ("https://api.loganalytics.azure.com/v1", false),
            ("https://me@api.loganalytics.azure.com/", false),
            ("api.loganalytics.azure.com", false),
        ] {
            assert_eq!(text.parse::<LogsEndpoint>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_workspace_is_a_guid_and_no_other_piece_of_a_path() {
        let guid = "63613592-B6F7-4c3d-a390-22ba13102111";
        assert_eq!(guid.parse::<WorkspaceId>().unwrap().to_string(), guid.to_lowercase());
        for wrong in
            ["", "orders", "63613592-b6f7-4c3d-a390", "63613592-b6f7-4c3d-a390-22ba1310211/", "../../x"]
        {
            assert!(wrong.parse::<WorkspaceId>().is_err(), "{wrong}");
        }
    }
}
