//! One grant that signs: which requests, and what is added to them.

use std::fmt;
use std::str::FromStr;

use http::{HeaderName, HeaderValue, Method};

use crate::http::origin::Origin;
use crate::http::signed::path::PathPrefix;

/// What the host adds to requests.
#[derive(Clone, Debug)]
pub(super) enum Addition {
    /// `Authorization`, with a token.
    Token { scope: String, client_id: Option<String> },
    /// A header that is the same each time.
    Header { name: HeaderName, value: HeaderValue },
}

/// Requests to one place, and what is added to them.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) origin: Origin,
    pub(super) prefix: PathPrefix,
    /// `None` stands for all methods.
    pub(super) methods: Option<Vec<Method>>,
    /// Whether the last part of a path may name a row of what the prefix names, as in
    /// `orders(PartitionKey='a',RowKey='b')` ([Addressing Table service
    /// resources](https://learn.microsoft.com/rest/api/storageservices/addressing-table-service-resources)).
    pub(super) has_rows: bool,
    /// Whether it is a service of Azure that is known here: none of them repeats what it is sent.
    pub(super) of_azure: bool,
    pub(super) addition: Addition,
}

/// Writes which requests a grant is about, as a flag names them: `GET,PUT host/path`.
pub(super) fn write_requests(
    f: &mut fmt::Formatter<'_>,
    methods: Option<&[Method]>,
    origin: &Origin,
    prefix: &PathPrefix,
) -> fmt::Result {
    if let Some(methods) = methods {
        let names: Vec<_> = methods.iter().map(Method::as_str).collect();
        write!(f, "{} ", names.join(","))?;
    }
    write!(f, "{origin}")?;
    if prefix.is_whole_host() { Ok(()) } else { write!(f, "{prefix}") }
}

impl Signer {
    /// Whether nothing of its host is left out.
    pub(super) fn grants_all(&self) -> bool {
        self.prefix.is_whole_host() && self.methods.is_none()
    }

    pub(super) fn takes(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|it| it.contains(method))
    }

    pub(super) fn covers(&self, segments: &[String]) -> bool {
        self.prefix.covers(segments) || self.has_rows && self.prefix.covers_row(segments)
    }
}

/// Splits off the methods that stand before a host: `GET,PUT host`.
pub(super) fn methods(text: &str) -> Result<(Option<Vec<Method>>, &str), String> {
    let Some((methods, rest)) = text.trim().split_once(' ') else { return Ok((None, text.trim())) };
    if methods.ends_with(',') || rest.trim_start().starts_with(',') {
        return Err("there are no blanks between methods: `GET,PUT host`".into());
    }
    let methods = methods.split(',').map(|name| {
        let known = name.bytes().all(|byte| byte.is_ascii_uppercase());
        Method::from_str(name).ok().filter(|_| known && !name.is_empty())
    });
    let methods = methods.collect::<Option<Vec<_>>>();
    let methods = methods
        .ok_or("what stands before a blank are methods, in capitals and with commas: `GET,PUT host`")?;
    match methods.iter().find(|it| [Method::TRACE, Method::CONNECT].contains(it)) {
        Some(method) => Err(format!("{method} is never signed")),
        None => Ok((Some(methods), rest.trim())),
    }
}
