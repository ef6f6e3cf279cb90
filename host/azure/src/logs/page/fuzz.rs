//! Arbitrary bytes as the answer of Log Analytics.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::LogPage;

const PAGE_TARGET: &str = "log-page";

#[test]
fn whatever_log_analytics_answers_it_is_lines_or_refused() {
    let target = FuzzTarget::of_texts(
        PAGE_TARGET,
        module_path!(),
        &[
            "\"tables\":[",
            "\"columns\":[",
            "\"rows\":[",
            "{\"name\":\"Time\"}",
            "\"Log\"",
            "\"error\":{",
            "\"innererror\":{",
            "null",
            "[",
        ],
        &[
            r#"{"tables":[{"name":"PrimaryResult","columns":[{"name":"Time","type":"datetime"},{"name":"Ingested"},{"name":"Replica"},{"name":"Log"}],"rows":[["2026-11-27T03:00:00Z","2026-11-27T03:00:01Z","job-1-x","a line"],["2026-11-27T03:00:02Z",null,null,null]]}]}"#,
            r#"{"tables":[{"columns":[],"rows":[]}],"error":{"code":"PartialError","message":"There were some errors","details":[{"code":"a","message":"b","innererror":{"code":"c","message":"d"}}]}}"#,
        ],
    );
    feed(&target, |bytes| match LogPage::read(bytes) {
        Ok(page) => {
            let number = ["none", "one", "some"][page.lines.len().min(2)];
            format!("{number} {} {}", page.is_full, page.partial.is_some())
        }
        Err(cause) => cause,
    });
}
