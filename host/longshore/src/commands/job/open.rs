//! The job that a verb names.

use crate::cli::JobOf;
use longshore_azure::Azure;
use longshore_azure::jobs::Job;

/// The job that is meant.
pub(super) fn open(of: &JobOf) -> Job {
    Job::new(of.job.job.clone(), of.arm.arm_endpoint.clone(), Azure::shared())
}
