//! Where a job's log goes: the Log Analytics workspace of its environment.

use serde_json::Value;

use super::{API_VERSION, Job};
use crate::arm::{ArmError, ArmErrorKind, ArmOperation, Asked, PATIENCE};
use crate::logs::WorkspaceId;

/// ([Diagnostic Settings](https://learn.microsoft.com/rest/api/monitor/diagnostic-settings))
const SETTINGS_VERSION: &str = "2021-05-01-preview";
/// ([Workspaces](https://learn.microsoft.com/rest/api/loganalytics/workspaces))
const WORKSPACES_VERSION: &str = "2026-03-01";
/// The category of what containers write, as diagnostic settings name it.
const CATEGORY: &str = "ContainerAppConsoleLogs";
/// The group of categories that it is in.
const GROUP: &str = "allLogs";

const READ_ENVIRONMENT: ArmOperation = ArmOperation {
    verb: "read the job's environment",
    action: "Microsoft.App/managedEnvironments/read",
    role: "Reader",
    there_is: "`az containerapp env list --query \"[].id\"` shows environments; --workspace names the workspace itself",
};
const READ_SETTINGS: ArmOperation = ArmOperation {
    verb: "read where the environment's logs go",
    action: "Microsoft.Insights/diagnosticSettings/read",
    role: "Reader",
    there_is: "--workspace names the workspace itself",
};
const READ_WORKSPACE: ArmOperation = ArmOperation {
    verb: "read the workspace of the job's environment",
    action: "Microsoft.OperationalInsights/workspaces/read",
    role: "Reader",
    there_is: "--workspace names another",
};

impl Job {
    /// The workspace that the job's environment logs to: its own, or that of a diagnostic setting.
    ///
    /// # Errors
    /// When one of them cannot be read, or the log goes to no workspace.
    pub async fn workspace(&self) -> Result<WorkspaceId, ArmError> {
        let job = self.get().await?;
        let asked = Asked { operation: READ_ENVIRONMENT, of: &self.id.0 };
        let named = text(&job, "/properties/environmentId");
        let environment = named.or_else(|| text(&job, "/properties/managedEnvironmentId"));
        let environment = environment
            .and_then(resource_id)
            .ok_or_else(|| asked.unreadable("the job names no environment that is a resource's id"))?;
        let asked = Asked { operation: READ_ENVIRONMENT, of: environment };
        let found = self.read(environment, API_VERSION, &asked).await?;
        let logs = &found["properties"]["appLogsConfiguration"];
        match text(logs, "/destination").unwrap_or_default() {
            "log-analytics" => workspace_id(text(logs, "/logAnalyticsConfiguration/customerId"), &asked),
            "azure-monitor" => self.of_settings(environment).await,
            other => {
                let other = if other.is_empty() { "nowhere" } else { other };
                Err(not_logged(&asked, &format!("its logs go to {other}, and to no workspace")))
            }
        }
    }

    /// The workspace of the first diagnostic setting that sends what containers write to one.
    async fn of_settings(&self, environment: &str) -> Result<WorkspaceId, ArmError> {
        let asked = Asked { operation: READ_SETTINGS, of: environment };
        let path = format!("{environment}/providers/Microsoft.Insights/diagnosticSettings");
        let settings = self.read(&path, SETTINGS_VERSION, &asked).await?;
        let all = settings["value"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_them = all.iter().filter(|it| sends_console_logs(it));
        let Some(workspace) = of_them.filter_map(|it| text(it, "/properties/workspaceId")).next() else {
            return Err(not_logged(
                &asked,
                "no diagnostic setting sends the logs of containers to a workspace",
            ));
        };
        let unreadable = || asked.unreadable("the workspace that it names is no resource's id");
        let workspace = resource_id(workspace).ok_or_else(unreadable)?;
        let asked = Asked { operation: READ_WORKSPACE, of: workspace };
        let found = self.read(workspace, WORKSPACES_VERSION, &asked).await?;
        workspace_id(text(&found, "/properties/customerId"), &asked)
    }

    async fn read(&self, path: &str, api_version: &str, asked: &Asked<'_>) -> Result<Value, ArmError> {
        Ok(self.arm.get(&self.arm.url(path, api_version), asked, PATIENCE).await?.body)
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

fn sends_console_logs(setting: &Value) -> bool {
    let logs = setting["properties"]["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    logs.iter().filter(|log| log["enabled"] == true).any(|log| {
        let group = log["categoryGroup"].as_str().unwrap_or_default();
        log["category"] == CATEGORY || group.eq_ignore_ascii_case(GROUP)
    })
}

fn workspace_id(id: Option<&str>, asked: &Asked<'_>) -> Result<WorkspaceId, ArmError> {
    let id = id.and_then(|id| id.parse().ok());
    id.ok_or_else(|| asked.unreadable("it does not say the workspace's id"))
}

fn not_logged(asked: &Asked<'_>, cause: &str) -> ArmError {
    ArmError {
        kind: ArmErrorKind::Fault,
        verb: asked.operation.verb,
        cause: format!("{}: {cause}", asked.of),
        mend: "name the workspace with --workspace, or have the environment log to one".into(),
        retry_after: None,
    }
}

/// The id of a resource, which becomes the path of a call. It came out of an answer.
fn resource_id(text: &str) -> Option<&str> {
    let text = text.trim_end_matches('/');
    let segments = text.strip_prefix('/')?;
    let named = |segment: &str| {
        let allowed = |c: char| c.is_alphanumeric() || "-._()".contains(c);
        !segment.is_empty() && segment.chars().all(allowed) && !segment.chars().all(|c| c == '.')
    };
    let begins = segments.get(..14).is_some_and(|it| it.eq_ignore_ascii_case("subscriptions/"));
    (begins && segments.split('/').all(named)).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_answer_names_is_a_resource_and_no_other_path() {
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/managedEnvironments/e";
        assert_eq!(resource_id(id), Some(id));
        for wrong in [
            "",
            "e",
            "/providers/Microsoft.App/managedEnvironments/e",
            "/subscriptions/../x",
            "/subscriptions/s?x",
            "/subscriptions/s//g",
            "https://elsewhere.example/subscriptions/s",
            "//elsewhere.example/subscriptions/s",
        ] {
            assert_eq!(resource_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_setting_sends_what_containers_write_by_its_category_or_a_group() {
        for (log, sends) in [
            (json!({ "category": "ContainerAppConsoleLogs", "enabled": true }), true),
            (json!({ "category": "ContainerAppConsoleLogs", "enabled": false }), false),
            (json!({ "category": null, "categoryGroup": "allLogs", "enabled": true }), true),
            (json!({ "category": "ContainerAppSystemLogs", "enabled": true }), false),
        ] {
            let setting = json!({ "properties": { "logs": [log] } });
            assert_eq!(sends_console_logs(&setting), sends, "{setting}");
        }
    }
}
