//! How a job is named.

use std::fmt;
use std::str::FromStr;

/// What the name of the job that is started by hand ends with.
const MANUAL: &str = "-manual";

/// A job's resource id: `/subscriptions/S/resourceGroups/G/providers/Microsoft.App/jobs/J`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobId(pub(super) String);

impl FromStr for JobId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What is not empty here is a fixed word.
        const FORM: &str = "/subscriptions//resourceGroups//providers/Microsoft.App/jobs/";
        let segments: Vec<&str> = text.trim_end_matches('/').split('/').collect();
        let named = |segment: &str| {
            let allowed = |c: char| c.is_alphanumeric() || "-._()".contains(c);
            !segment.is_empty() && segment.chars().all(allowed) && !segment.chars().all(|c| c == '.')
        };
        let fits = segments.len() == FORM.split('/').count()
            && segments[0].is_empty()
            && FORM.split('/').zip(&segments).skip(1).all(|(word, segment)| match word {
                "" => named(segment),
                word => segment.eq_ignore_ascii_case(word),
            });
        if fits {
            return Ok(Self(segments.join("/")));
        }
        Err("a job is named by its resource id, /subscriptions/…/resourceGroups/…/providers/Microsoft.App/jobs/NAME; `az containerapp job show … --query id` prints it".into())
    }
}

impl JobId {
    /// The job's name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The job beside it that is started by hand, as the templates make one; `None` for that job
    /// itself.
    pub fn manual(&self) -> Option<Self> {
        (!self.0.ends_with(MANUAL)).then(|| Self(format!("{}{MANUAL}", self.0)))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_its_resource_id_and_nothing_else() {
        let id = "/subscriptions/34adfa4f/resourceGroups/rg/providers/Microsoft.App/jobs/orders";
        assert_eq!(id.parse::<JobId>().unwrap().to_string(), id);
        assert!(id.replace("resourceGroups", "resourcegroups").parse::<JobId>().is_ok());
        for wrong in [
            "orders",
            "",
            &id.replace("jobs", "containerApps"),
            &format!("{id}/executions/e"),
            &id.replace("orders", ".."),
            &id.replace("orders", "a?b"),
            &format!("https://management.azure.com{id}"),
        ] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }
}
