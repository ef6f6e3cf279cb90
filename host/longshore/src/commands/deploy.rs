//! `longshore deploy`: a handler into a registry, and a job that runs it.

mod carried;
mod container;
mod planned;
mod secrets;
mod twin;

use jiff::Timestamp;
use serde::Serialize;

use self::planned::Change;
pub(super) use self::planned::{Planned, component_of};
use super::check::finding::{Finding, Known};
use super::check::job::{NoFlags, Setup};
use super::check::rule;
use super::{print, push};
use crate::cli::{DeployArgs, Format, Project, ProjectValue};
use crate::exit::{Clause, Exit, Failure};
use bytes::Bytes;
use longshore_component::registry::{self, Address, Repository};
use longshore_component::{Source, SourceError};
use longshore_queue::QueueUrl;
use longshore_sandbox::{Description, Grants};

/// What was deployed, or would be.
#[derive(Serialize)]
pub(super) struct Deployed {
    /// The component's address; by its digest, unless nothing was pushed that will be.
    pub(super) component: String,
    /// What the job ran before.
    pub(super) before: Option<String>,
    pub(super) dry_run: bool,
    pub(super) jobs: Vec<ChangedJob>,
    /// What does not fit, of what `longshore check --job` looks at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) checks: Vec<Finding>,
}

/// One job, and what changes in it.
#[derive(Serialize)]
pub(super) struct ChangedJob {
    job: String,
    changes: Vec<Change>,
}

pub(super) async fn execute(args: DeployArgs, project: &Project, format: Format) -> Result<Exit, Failure> {
    let carried = carried::variables(project)?;
    let mut jobs = Planned::read(&args.of.job.job, &args.of.arm.arm_endpoint).await?;
    let handler = Chosen::of(&args, project, jobs[0].component().as_ref())?;
    // A tag is resolved once: what is looked at is what the job gets, whatever it names by then.
    let source = match &handler.source {
        Source::Registry(address, access) => Source::Registry(pinned(address, access).await?, access.clone()),
        file @ Source::File(_) => file.clone(),
    };
    let (bytes, description) = push::handler(&source, "deploy").await?;
    // The digest of what is going to be pushed is not known yet, and changes nothing of the rest.
    let mut address = match &source {
        Source::Registry(address, _) => address.to_string(),
        Source::File(_) => handler.to.clone().map(|to| to.to_string()).unwrap_or_default(),
    };
    for job in &mut jobs {
        carried.iter().try_for_each(|it| job.set(it))?;
        job.run(&address)?;
    }
    let named = project.value("queue").and_then(|it| it.texts.join("").parse::<QueueUrl>().ok());
    let checks = fits(&jobs[0], named, &bytes)?;
    if let (Some(to), false) = (&handler.to, args.dry_run) {
        address = pushed(&args, to, bytes, &description).await?;
        jobs.iter_mut().try_for_each(|job| job.run(&address))?;
    }
    settle(&jobs, address, args.dry_run, checks, format).await
}

/// Changes the jobs, and says what changed.
pub(super) async fn settle(
    jobs: &[Planned],
    component: String,
    dry_run: bool,
    checks: Vec<Finding>,
    format: Format,
) -> Result<Exit, Failure> {
    let before = jobs[0].component().map(|it| it.to_string());
    if !dry_run {
        for (place, job) in jobs.iter().enumerate() {
            let done = jobs[..place].iter().map(|it| it.id().to_string()).collect::<Vec<_>>().join(", ");
            job.apply().await.during(|| match done.as_str() {
                "" => format!("{component} is in the registry, and the job does not run it yet"),
                done => format!("{done} runs {component}, and the next job does not yet"),
            })?;
        }
    }
    let changed =
        jobs.iter().map(|it| ChangedJob { job: it.id().to_string(), changes: it.changes() }).collect();
    let deployed = Deployed { component, before, dry_run, jobs: changed, checks };
    show(&deployed, format)?;
    Ok(Exit::Done)
}

fn show(deployed: &Deployed, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return print::json(deployed);
    }
    for finding in &deployed.checks {
        print::note(&format!("{}: {}", finding.check, finding.detail));
    }
    let fields = [
        (if deployed.dry_run { "would run" } else { "runs" }, deployed.component.clone()),
        ("before", deployed.before.clone().unwrap_or_else(|| "what the image has".into())),
    ];
    print::fields(&fields, deployed, format)?;
    let rows = deployed.jobs.iter().flat_map(|job| {
        let name = job.job.rsplit('/').next().unwrap_or_default().to_owned();
        job.changes.iter().map(move |Change { variable, from, to }| {
            let cell = |it: &Option<String>| it.clone().unwrap_or_default();
            vec![name.clone(), variable.clone(), cell(from), cell(to)]
        })
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        print::line("nothing changes");
        return Ok(());
    }
    print::table(&["job", "variable", "from", "to"], rows)
}

/// The component that is deployed, and where it goes before that.
struct Chosen {
    source: Source,
    /// Where a file is pushed to. `None`: it is in a registry.
    to: Option<Address>,
}

impl Chosen {
    fn of(args: &DeployArgs, project: &Project, runs: Option<&Source>) -> Result<Self, Failure> {
        let named = args.registry.source(args.component.clone()).map_err(Failure::usage)?;
        let text = |it: &ProjectValue| it.texts.join("");
        let is_of_profile = project.value("component").is_some_and(|it| text(it) == named.to_string());
        let replaced = project.replaced("component").filter(|_| is_of_profile);
        let built = replaced.map(|it| text(it).parse::<Source>()).transpose();
        let built = built.map_err(|error: SourceError| Failure::usage(error.to_string()))?;
        match (named, built) {
            // A digest says which one: there is nothing to push.
            (Source::Registry(to, _), Some(file @ Source::File(_))) if to.digest().is_none() => {
                let repository = args.repository.clone().unwrap_or_else(|| to.within());
                Ok(Self { source: file, to: Some(tagged(args, &repository)?) })
            }
            (source @ Source::File(_), _) => {
                let running = match runs {
                    Some(Source::Registry(address, _)) => Some(address.within()),
                    _ => None,
                };
                let repository = args.repository.clone().or(running).ok_or_else(|| {
                    Failure::usage("the job runs no component from a registry, so that nothing says where this one goes; name it with --repository oci://REGISTRY/REPOSITORY, or as `component` of a profile")
                })?;
                Ok(Self { source, to: Some(tagged(args, &repository)?) })
            }
            (source, _) if args.repository.is_some() || args.tag.is_some() => Err(Failure::usage(format!(
                "--repository and --tag say where a file is pushed, and {source} is in a registry already; leave them out, or name the file"
            ))),
            (source, _) => Ok(Self { source, to: None }),
        }
    }
}

fn tagged(args: &DeployArgs, repository: &Repository) -> Result<Address, Failure> {
    let tag = args.tag.clone().unwrap_or_else(|| Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string());
    let wrong = || Failure::usage(format!("--tag {tag} is no tag; a tag has letters, digits and ._- alone"));
    repository.tagged(&tag).ok_or_else(wrong)
}

/// The address by its digest.
async fn pinned(address: &Address, access: &registry::Access) -> Result<Address, Failure> {
    if address.digest().is_some() {
        return Ok(address.clone());
    }
    let found = registry::release(address, access).await.during(|| format!("cannot look at {address}"))?;
    let pinned = address.within().at(&found.digest);
    pinned.ok_or_else(|| Failure::fault(format!("the registry names no digest of {address}")))
}

async fn pushed(
    args: &DeployArgs,
    to: &Address,
    bytes: Bytes,
    description: &Description,
) -> Result<String, Failure> {
    let compiled = push::compiled(&args.component, &bytes, args.target.clone()).await?;
    let pushed = registry::push(to, &args.registry.login.access(), bytes, description, compiled, []).await;
    let pushed = pushed.during(|| format!("cannot push to {to}, and the job is as it was"))?;
    tracing::info!(address = pushed.address, tag = to.tag(), "pushed");
    Ok(pushed.address)
}

/// What `longshore check --job` would say of the job with the change, where it does not fit.
///
/// # Errors
/// Every execution would fail, or the component cannot be loaded with these grants, or the job
/// drains another queue than the one that is `named`.
pub(super) fn fits(job: &Planned, named: Option<QueueUrl>, bytes: &Bytes) -> Result<Vec<Finding>, Failure> {
    let id = job.id();
    let setup = Setup::read(job.planned()).map_err(|cause| Failure::fault(format!("{id}: {cause}")))?;
    if let Err(NoFlags::Wrong(cause)) = &setup.run {
        return Err(Failure::fault(format!("{id} would refuse its flags, and nothing was changed: {cause}")));
    }
    if let (Some(named), Some(drained)) = (named, setup.queue())
        // One on this machine belongs to nobody, and stands for the job's.
        && named.owner().is_some()
        && !named.is_same_queue(&drained)
    {
        return Err(Failure::usage(format!(
            "{id} drains {drained}, and the project file names {named}; is it the right job, and the right --profile? A job gets another queue by its template, since its scale rule and its roles go by it"
        )));
    }
    if let Ok(run) = &setup.run {
        let given = |is: bool| if is { vec![(String::new(), String::new())] } else { Vec::new() };
        let granted = &run.sandbox.grants;
        let grants = Grants {
            env: given(!granted.env.is_empty()),
            config: given(!granted.config.is_empty() || setup.is_secret("LONGSHORE_CONFIG")),
            ..granted.reach()
        };
        let description = longshore_sandbox::describe(bytes, &grants)?;
        let lacks = description.imports.iter().find_map(|import| match &import.grant {
            Some(grant) if grant.needed && !grant.granted => Some((&import.name, grant.flag)),
            _ => None,
        });
        if let Some((import, flag)) = lacks
            && !(flag.starts_with("--outbox") && setup.is_secret("LONGSHORE_OUTBOX"))
        {
            return Err(Failure::fault(format!(
                "the component imports {import}, which the job would not grant; grant it in the project file, as `run` does with {flag}"
            )));
        }
    }
    let findings = rule::findings(&setup, &id.to_string());
    Ok(findings.into_iter().filter(|it| it.result == Known::Wrong).collect())
}
