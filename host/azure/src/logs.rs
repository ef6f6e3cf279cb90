//! What a job logged, as Log Analytics keeps it ([Log Analytics query
//! API](https://learn.microsoft.com/azure/azure-monitor/logs/api/overview), version 1).

mod endpoint;
mod error;
mod page;
mod query;

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::{CONTENT_TYPE, HeaderName};
use azure_core::http::{Context, Method, Pipeline, PipelineSendOptions, Request};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

pub use self::endpoint::{LogsEndpoint, WorkspaceId};
pub use self::error::LogsError;
pub use self::page::{LogLine, LogPage};
pub use self::query::{LogPlace, LogSelection};
use crate::authorize::Authorize;
use crate::azure::Azure;
use crate::credential::client_options;
use crate::patience::no_longer_than;
use crate::retry_after::retry_after;

/// How long the service may work on a query, in seconds. It asks for three minutes by itself
/// ([Timeouts](https://learn.microsoft.com/azure/azure-monitor/logs/api/timeouts)).
const SERVER_LIMIT_S: u64 = 60;
/// How long an answer may take: the service's own limit, and the way.
const LIMIT: Duration = Duration::from_secs(SERVER_LIMIT_S + 10);
/// For how long a query is sent again while the service is busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause before that, doubled each time; the shortest, and the longest.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_AT_LEAST: Duration = Duration::from_millis(50);
const PAUSE_AT_MOST: Duration = Duration::from_secs(15);

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The log of a job in one workspace.
#[derive(Debug)]
pub struct JobLog {
    endpoint: LogsEndpoint,
    workspace: WorkspaceId,
    pipeline: Pipeline,
}

impl JobLog {
    /// The log in this workspace, read with the credential of `azure`. Nothing is asked of anybody
    /// yet.
    pub fn new(workspace: WorkspaceId, endpoint: LogsEndpoint, azure: &Azure) -> Self {
        let authorize = Arc::new(Authorize(azure.tokens(endpoint.scope())));
        let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
        let options = client_options(azure.http());
        let pipeline = Pipeline::new(name, version, options, Vec::new(), vec![authorize], None);
        Self { endpoint, workspace, pipeline }
    }

    /// The lines that were selected, from a place on: as many as one answer holds, in their order.
    ///
    /// # Errors
    /// What the service refused, or that it did not answer.
    pub async fn page(&self, selection: &LogSelection, from: &LogPlace) -> Result<LogPage, LogsError> {
        let query = selection.query(from);
        let (started, patience) = (Instant::now(), no_longer_than(PATIENCE));
        let mut pause = PAUSE;
        loop {
            let error = match self.send(&query).await {
                Ok(body) => {
                    return LogPage::read(&body)
                        .map_err(|cause| LogsError::unreadable(&self.endpoint, &cause));
                }
                Err(error) => error,
            };
            let wait = error.retry_after.unwrap_or(pause).clamp(PAUSE_AT_LEAST, PAUSE_AT_MOST);
            if !error.is_passing || started.elapsed() + wait > patience {
                return Err(error);
            }
            tracing::debug!(cause = %error.cause, wait_ms = wait.as_millis(), "asking for the log again");
            sleep(wait).await;
            pause = (pause * 2).min(PAUSE_AT_MOST);
        }
    }

    async fn send(&self, query: &str) -> Result<Vec<u8>, LogsError> {
        let mut request = Request::new(self.url(), Method::Post);
        request.insert_header(CONTENT_TYPE, "application/json");
        request.insert_header(PREFER, format!("wait={SERVER_LIMIT_S}"));
        request.set_body(json!({ "query": query }).to_string().into_bytes());
        // A refusal is an answer as well: its body says why.
        let options = PipelineSendOptions { skip_checks: true, ..Default::default() };
        let sent = timeout(LIMIT, self.pipeline.send(&Context::new(), &mut request, Some(options))).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(LogsError::failed(&self.endpoint, &error)),
            Err(_) => return Err(LogsError::silent(&self.endpoint, LIMIT)),
        };
        let status = u16::from(response.status());
        let body: &[u8] = response.body().as_ref();
        if status != 200 {
            let wait = retry_after(response.headers());
            return Err(LogsError::refused(&self.workspace, status, body, wait));
        }
        Ok(body.to_vec())
    }

    fn url(&self) -> Url {
        let mut url = self.endpoint.url().clone();
        url.set_path(&format!("/v1/workspaces/{}/query", self.workspace));
        url
    }
}
