//! The names of jobs, executions and replicas, as Azure Container Apps makes them.

use rand::RngExt;

/// The letters of a random suffix.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// The longest name of a job.
const MAX_JOB: usize = 32;

/// The name of one replica, and of the execution and the job that it belongs to.
///
/// A replica finds them in its environment ([Manage environment variables on Azure Container
/// Apps](https://learn.microsoft.com/azure/container-apps/environment-variables#built-in-environment-variables)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaNames {
    /// `CONTAINER_APP_JOB_NAME`
    pub job: String,
    /// `CONTAINER_APP_JOB_EXECUTION_NAME`
    pub execution: String,
    /// `CONTAINER_APP_REPLICA_NAME`
    pub replica: String,
}

impl ReplicaNames {
    /// New ones for this job.
    pub(crate) fn new(job: &str) -> Self {
        let execution = format!("{job}-{}", suffix(7));
        let replica = format!("{execution}-{}", suffix(5));
        Self { job: job.to_owned(), execution, replica }
    }

    /// The variables of the replica's environment.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 3] {
        [
            ("CONTAINER_APP_JOB_NAME", &self.job),
            ("CONTAINER_APP_JOB_EXECUTION_NAME", &self.execution),
            ("CONTAINER_APP_REPLICA_NAME", &self.replica),
        ]
    }
}

fn suffix(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
}

/// What a job for this queue is called: small letters, digits and hyphens, the first one a letter.
#[must_use]
pub fn job_name(queue: &str) -> String {
    let last = queue.rsplit('/').next().unwrap_or(queue).to_ascii_lowercase();
    let mut name = String::new();
    for character in last.chars() {
        match character {
            'a'..='z' | '0'..='9' => name.push(character),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
        if name.len() == MAX_JOB {
            break;
        }
    }
    let name = name.trim_matches('-');
    if name.starts_with(|it: char| it.is_ascii_lowercase()) { name.to_owned() } else { format!("job-{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_called_after_its_queue_in_letters_that_azure_takes() {
        for (queue, job) in [
            ("orders", "orders"),
            ("Orders_EU..v2", "orders-eu-v2"),
            ("topic/Subscriptions/billing", "billing"),
            ("2nd", "job-2nd"),
            ("--a--", "a"),
        ] {
            assert_eq!(job_name(queue), job);
        }
        assert_eq!(job_name(&"a".repeat(100)).len(), MAX_JOB);
    }

    #[test]
    fn a_replica_is_named_after_its_execution_and_no_two_are_alike() {
        let (one, other) = (ReplicaNames::new("orders"), ReplicaNames::new("orders"));
        assert!(one.execution.starts_with("orders-") && one.replica.starts_with(&one.execution));
        assert_ne!(one.execution, other.execution);
    }
}
