//! Where ARM is, and to where a token for it may go.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::http::is_this_host;

/// The endpoint of the public cloud.
const PUBLIC: &str = "https://management.azure.com/";
/// Those of all clouds ([Azure
/// Government](https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure),
/// [Azure in China](https://learn.microsoft.com/azure/china/resources-developer-guide)).
const CLOUDS: [&str; 3] =
    [PUBLIC, "https://management.usgovcloudapi.net/", "https://management.chinacloudapi.cn/"];

/// Where ARM is: the public cloud, another one (`https://management.usgovcloudapi.net`,
/// `https://management.chinacloudapi.cn`), or a server on this very host, which may be plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub(super) Url);

impl Default for Endpoint {
    fn default() -> Self {
        // The only way to a URL is to parse one, and this one is a constant.
        Self(Url::parse(PUBLIC).expect("the public endpoint is a URL"))
    }
}

impl FromStr for Endpoint {
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

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Endpoint {
    /// The scope of tokens: each cloud has its own. A server on this host takes those of the public
    /// cloud.
    pub(super) fn scope(&self) -> String {
        let audience = if self.0.scheme() == "https" { self.0.as_str() } else { PUBLIC };
        format!("{audience}.default")
    }

    /// Whether it is that of a cloud, or on this very host: a token may go there, whoever named it.
    pub fn is_of_a_cloud(&self) -> bool {
        CLOUDS.contains(&self.0.as_str()) || is_this_host(&self.0)
    }

    /// Its host, in small letters.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether a link in an answer may be followed with our token: to the endpoint itself, or to
    /// one of its regions.
    pub(super) fn owns(&self, link: &Url) -> bool {
        let host = |url: &Url| url.host_str().unwrap_or_default().to_ascii_lowercase();
        let same_port = link.scheme() == self.0.scheme()
            && link.port_or_known_default() == self.0.port_or_known_default();
        let (link, own) = (host(link), host(&self.0));
        same_port && (link == own || link.strip_suffix(&own).is_some_and(|region| region.ends_with('.')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_arm_and_its_regions_and_nowhere_else() {
        let public = Endpoint::default();
        for (link, owned) in [
            ("https://management.azure.com/subscriptions/s", true),
            ("https://westeurope.management.azure.com/subscriptions/s", true),
            ("https://MANAGEMENT.azure.com:443/x", true),
            ("http://management.azure.com/x", false),
            ("https://management.azure.com:8443/x", false),
            ("https://evilmanagement.azure.com/x", false),
            ("https://management.azure.com.evil.example/x", false),
        ] {
            assert_eq!(public.owns(&Url::parse(link).unwrap()), owned, "{link}");
        }
    }

    #[test]
    fn an_endpoint_is_https_or_on_this_host() {
        for (text, good) in [
            ("https://management.usgovcloudapi.net", true),
            ("http://127.0.0.1:8080", true),
            ("http://management.azure.com", false),
            ("https://management.azure.com/subscriptions", false),
            ("management.azure.com", false),
        ] {
            assert_eq!(text.parse::<Endpoint>().is_ok(), good, "{text}");
        }
        let china: Endpoint = "https://management.chinacloudapi.cn".parse().unwrap();
        assert_eq!(china.scope(), "https://management.chinacloudapi.cn/.default");
    }
}
