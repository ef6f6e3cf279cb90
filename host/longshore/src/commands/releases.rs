//! `longshore releases`: what was deployed, from the registry and from what the job ran.

use jiff::Timestamp;
use serde::Serialize;

use super::deploy::component_of;
use super::print;
use crate::cli::{Format, Project, ReleasesArgs};
use crate::exit::{Clause, Exit, Failure};
use longshore_azure::Azure;
use longshore_azure::jobs::{Execution, Job};
use longshore_component::Source;
use longshore_component::registry::{self, Address, Release, Releases, Repository};

/// A release as it is printed.
#[derive(Serialize)]
struct Row {
    digest: String,
    /// Empty: nothing in the registry names it any more.
    tags: Vec<String>,
    created: Option<Timestamp>,
    /// Whether the job runs it from its next execution on. Not known without a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ran: Option<Ran>,
}

/// What the job's executions say of a release. The platform keeps the last hundred.
#[derive(Clone, Copy, Default, Serialize)]
struct Ran {
    executions: usize,
    failed: usize,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

pub(super) async fn execute(args: &ReleasesArgs, project: &Project, format: Format) -> Result<Exit, Failure> {
    let job = args.job.clone().map(|id| Job::new(id, args.arm.arm_endpoint.clone(), Azure::shared()));
    let (runs, executions) = match &job {
        Some(job) => {
            let template = job.get().await?["properties"]["template"].clone();
            (component_of(&template), job.executions().await?)
        }
        None => (None, Vec::new()),
    };
    let repository = repository(args, project, runs.as_ref())?;
    let access = args.registry.access();
    let found = registry::releases(&repository, &access).await;
    let Releases { releases, left_out } =
        found.during(|| format!("cannot list the releases in {repository}"))?;
    if left_out > 0 {
        print::note(&format!("{left_out} tags were not looked at, those whose names come first"));
    }
    let runs = match runs {
        Some(Source::Registry(address, _)) if address.within() == repository => Some(address),
        _ => None,
    };
    let is_in_force = |release: &Release| runs.as_ref().is_some_and(|it| names(it, release));
    let mut rows: Vec<Row> = releases
        .iter()
        .map(|release| Row {
            digest: release.digest.clone(),
            tags: release.tags.clone(),
            created: release.created,
            in_force: job.as_ref().map(|_| is_in_force(release)),
            ran: job.as_ref().map(|_| ran(&executions, &repository, |it| names(it, release))),
        })
        .collect();
    // What ran, or runs, and has no tag any more.
    let ran_here = executions.iter().filter_map(|it| component_of(&it.properties.template));
    let addresses = ran_here.filter_map(|it| match it {
        Source::Registry(address, _) if address.within() == repository => Some(address),
        _ => None,
    });
    for address in runs.iter().cloned().chain(addresses) {
        let Some(digest) = address.digest().filter(|it| rows.iter().all(|row| row.digest != *it)) else {
            continue;
        };
        rows.push(Row {
            digest: digest.to_owned(),
            tags: Vec::new(),
            created: None,
            in_force: Some(runs.as_ref() == Some(&address)),
            ran: Some(ran(&executions, &repository, |it| it.digest() == Some(digest))),
        });
    }
    rows.truncate(args.limit.unwrap_or(usize::MAX));
    match format {
        Format::Json => rows.iter().try_for_each(print::json)?,
        Format::Table => {
            let header = ["in force", "tags", "created", "executions", "failed", "last run", "digest"];
            print::table(&header, rows.iter().map(cells))?;
        }
    }
    Ok(Exit::Done)
}

fn cells(row: &Row) -> Vec<String> {
    let time = |at: Option<Timestamp>| at.map(|at| at.strftime("%F %T").to_string()).unwrap_or_default();
    let count = |of: fn(Ran) -> usize| row.ran.map(|ran| of(ran).to_string()).unwrap_or_default();
    vec![
        if row.in_force == Some(true) { "yes" } else { "" }.into(),
        row.tags.join(", "),
        time(row.created),
        count(|ran| ran.executions),
        count(|ran| ran.failed),
        time(row.ran.and_then(|ran| ran.last)),
        row.digest.clone(),
    ]
}

/// Whether an address names a release: by its digest, or by a tag that it has now.
fn names(address: &Address, release: &Release) -> bool {
    match (address.digest(), address.tag()) {
        (Some(digest), _) => digest == release.digest,
        (None, Some(tag)) => release.tags.iter().any(|it| it == tag),
        (None, None) => false,
    }
}

fn ran(executions: &[Execution], repository: &Repository, is_it: impl Fn(&Address) -> bool) -> Ran {
    let mut ran = Ran::default();
    for execution in executions {
        match component_of(&execution.properties.template) {
            Some(Source::Registry(address, _)) if address.within() == *repository && is_it(&address) => {}
            _ => continue,
        }
        let start = execution.properties.start_time;
        ran.executions += 1;
        ran.failed += usize::from(execution.is_over() && !execution.succeeded());
        ran.first = ran.first.min(start).or(start);
        ran.last = ran.last.max(start);
    }
    ran
}

fn repository(args: &ReleasesArgs, project: &Project, runs: Option<&Source>) -> Result<Repository, Failure> {
    if let Some(repository) = &args.repository {
        return Ok(repository.clone());
    }
    let of_project = project.value("component").and_then(|it| it.texts.join("").parse().ok());
    match runs.cloned().into_iter().chain(of_project).find(|it| matches!(it, Source::Registry(..))) {
        Some(Source::Registry(address, _)) => Ok(address.within()),
        _ => Err(Failure::usage(
            "nothing says where the releases are: the job runs no component from a registry, or none is named; name the job with --job, or the place with --repository oci://REGISTRY/REPOSITORY",
        )),
    }
}
