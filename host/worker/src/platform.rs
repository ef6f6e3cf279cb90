//! What Azure Container Apps and KEDA do by themselves, in numbers, and the room that the host
//! leaves them.
//!
//! `infra/modules/job.bicep` and `infra/types.bicep` cannot share these constants. A test reads
//! both against this file.

use std::time::Duration;

/// What the platform takes to create a replica, pull the image and start it, generously:
/// `replicaTimeout` counts it.
pub const START: Duration = Duration::from_secs(120);
/// The platform kills this long after SIGTERM
/// ([Jobs in Azure Container Apps](https://learn.microsoft.com/azure/container-apps/jobs)).
pub const KILLED_AFTER: Duration = Duration::from_secs(30);
/// How often KEDA looks at the queue, where `pollingInterval` is not set. A message that is hidden
/// for longer starts an execution that finds nothing.
pub const POLLING_INTERVAL: Duration = Duration::from_secs(30);

/// How long a stop waits for a receive in flight, beside the grace of running handlers.
pub const LAST_RECEIVE: Duration = Duration::from_secs(3);
/// How long settlement may take once handlers were interrupted.
pub const SETTLEMENT: Duration = Duration::from_secs(5);
/// How long the end of a run may take to leave sessions: what is not left ends with the connection.
pub const LEAVING: Duration = Duration::from_millis(1500);
/// What a stop takes beside the grace: a receive in flight, settlement, and a little more for the
/// platform's own clock.
pub const STOP: Duration = Duration::from_secs(10);
/// The longest grace with which a stop ends before the platform kills.
pub const MAX_GRACE: Duration = KILLED_AFTER.saturating_sub(LAST_RECEIVE).saturating_sub(SETTLEMENT);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::lease::FIXED_ROOM;

    fn read(path: &str) -> String {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Asserts that a template has each line once, whatever its spaces.
    fn says(path: &str, lines: &[String]) {
        let template = read(path);
        for line in lines {
            let same = |it: &&str| it.split_whitespace().eq(line.split_whitespace());
            let found = template.lines().filter(same).count();
            assert_eq!(found, 1, "{path} does not say `{line}`");
        }
    }

    #[test]
    fn the_bicep_templates_leave_the_room_that_the_host_takes() {
        let [start, stop, grace, receive, settlement, kill, fixed, linger] = [
            START,
            STOP,
            MAX_GRACE,
            LAST_RECEIVE,
            SETTLEMENT,
            KILLED_AFTER,
            FIXED_ROOM,
            Config::default().linger,
        ]
        .map(|it| it.as_secs());
        says(
            "modules/job.bicep",
            &[
                format!("var startSeconds = {start}"),
                format!("var stopSeconds = graceSeconds + {stop}"),
                format!("var lingerSeconds = lease == 'fixed' ? deadlineSeconds + {fixed} : {linger}"),
            ],
        );
        let words = format!(
            "ACA kills {kill} s after it; up to {receive} s go to a receive in flight, {settlement} s to settlement."
        );
        assert!(read("types.bicep").contains(&words), "types.bicep does not say `{words}`");
        let polling = POLLING_INTERVAL.as_secs();
        says("types.bicep", &[format!("@maxValue({grace})"), format!("pollingIntervalSeconds: {polling}")]);
    }

    #[test]
    fn a_stop_ends_before_the_platform_kills() {
        assert!(MAX_GRACE + LAST_RECEIVE + SETTLEMENT <= KILLED_AFTER);
        assert!(LAST_RECEIVE + SETTLEMENT < STOP);
        assert!(Config::default().grace <= MAX_GRACE);
    }
}
