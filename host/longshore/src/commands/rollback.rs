//! `longshore rollback`: a job that runs an earlier release.

use super::deploy::{Planned, fits, settle};
use super::push;
use crate::cli::{Format, RegistryLogin, RollbackArgs};
use crate::exit::{Clause, Exit, Failure};
use longshore_component::Source;
use longshore_component::registry::{self, Address, Release, Repository};

pub(super) async fn execute(args: &RollbackArgs, format: Format) -> Result<Exit, Failure> {
    let mut jobs = Planned::read(&args.of.job.job, &args.of.arm.arm_endpoint).await?;
    let id = jobs[0].id();
    let Some(Source::Registry(runs, _)) = jobs[0].component() else {
        return Err(Failure::fault(format!(
            "{id} runs no component from a registry, so that there is no release before it; `longshore deploy` makes the first"
        )));
    };
    let repository = runs.within();
    let to = match &args.to {
        Some(named) => chosen(named, &repository, &args.registry).await?,
        None => previous(&runs, &repository, &args.registry).await?,
    };
    let address = repository.at(&to.digest);
    let address = address.ok_or_else(|| Failure::fault(format!("{repository} names no digest of {to:?}")))?;
    let source = Source::Registry(address.clone(), args.registry.access());
    let (bytes, _) = push::handler(&source, "roll back to").await?;
    let address = address.to_string();
    jobs.iter_mut().try_for_each(|job| job.run(&address))?;
    let checks = fits(&jobs[0], None, &bytes)?;
    settle(&jobs, address, args.dry_run, checks, format).await
}

/// The release of this digest or tag, which has to be there still.
async fn chosen(named: &str, repository: &Repository, access: &RegistryLogin) -> Result<Release, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "--to {named} is neither a digest, which is sha256: and 64 hexadecimal digits, nor a tag; `longshore releases` shows both"
        ))
    };
    let address = repository.at(named).or_else(|| repository.tagged(named)).ok_or_else(wrong)?;
    registry::release(&address, &access.access()).await.during(|| format!("cannot look at {address}"))
}

/// The release that was pushed before the one that runs.
async fn previous(
    runs: &Address,
    repository: &Repository,
    access: &RegistryLogin,
) -> Result<Release, Failure> {
    let access = access.access();
    let now = registry::release(runs, &access).await.during(|| format!("cannot look at {runs}"))?;
    let found = registry::releases(repository, &access).await;
    let found = found.during(|| format!("cannot list the releases in {repository}"))?;
    let name = "name one with --to; `longshore releases` shows them";
    if now.created.is_none() {
        return Err(Failure::fault(format!("{runs} does not say when it was made; {name}")));
    }
    // The newest come first.
    let earlier = found.releases.into_iter().filter(|it| it.digest != now.digest);
    let mut earlier = earlier.filter(|it| it.created.is_some() && it.created <= now.created);
    match (earlier.next(), earlier.next()) {
        (Some(one), Some(other)) if one.created == other.created => Err(Failure::fault(format!(
            "{} and {} were made at the same time; {name}",
            one.digest, other.digest
        ))),
        (Some(one), _) if one.created == now.created => {
            Err(Failure::fault(format!("{} and {runs} were made at the same time; {name}", one.digest)))
        }
        (Some(one), _) => Ok(one),
        (None, _) => {
            Err(Failure::fault(format!("{repository} has no release that was pushed before {runs}; {name}")))
        }
    }
}
