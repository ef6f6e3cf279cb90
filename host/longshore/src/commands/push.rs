//! `longshore push`: a component, into a registry.

use super::loading::while_compiling;
use super::print;
use crate::cli::{Format, PushArgs};
use crate::exit::{Clause, Exit, Failure};
use bytes::Bytes;
use longshore_component::{Source, registry};
use longshore_sandbox::{Cpu, Description, Grants};

pub(super) async fn execute(args: PushArgs, format: Format) -> Result<Exit, Failure> {
    let PushArgs { component, to, precompiled, target, annotations, registry } = args;
    if !matches!(component, Source::File(_)) {
        return Err(Failure::usage(format!(
            "push takes a file, and {component} is in a registry already; name the file before the address"
        )));
    }
    let (bytes, description) = handler(&component, "push").await?;
    let targets =
        if precompiled && target.is_empty() { vec![longshore_sandbox::own_target()] } else { target };
    let compiled = compiled(&component, &bytes, targets).await?;
    let pushed = registry::push(&to, &registry.access(), bytes, &description, compiled, annotations).await;
    let pushed = pushed.during(|| format!("cannot push to {to}"))?;
    let fields = [
        ("pushed", to.to_string()),
        ("by digest", pushed.address.clone()),
        ("component", pushed.component.clone()),
        ("bytes", pushed.bytes.to_string()),
    ];
    print::fields(&fields, &pushed, format)?;
    Ok(Exit::Done)
}

/// Reads a component that is meant to be a handler.
pub(super) async fn handler(component: &Source, verb: &str) -> Result<(Bytes, Description), Failure> {
    let bytes = component.fetch().await?.bytes;
    let description = longshore_sandbox::describe(&bytes, &Grants::default())
        .during(|| format!("cannot {verb} {component}"))?;
    if !description.handler {
        let found =
            if description.exports.is_empty() { "nothing".into() } else { description.exports.join(", ") };
        return Err(Failure::fault(format!(
            "{component} is no handler: it exports {found}; build it for the world of wit/handler.wit"
        )));
    }
    Ok((bytes, description))
}

/// Compiles a component for each system, for any processor of its kind.
pub(super) async fn compiled(
    component: &Source,
    bytes: &Bytes,
    targets: Vec<String>,
) -> Result<Vec<(String, Bytes)>, Failure> {
    let mut compiled = Vec::new();
    for target in targets {
        let (bytes, named) = (bytes.clone(), target.clone());
        let compiling = tokio::task::spawn_blocking(move || {
            longshore_sandbox::compile(&bytes, Some(&named), Cpu::Baseline)
        });
        let artifact = while_compiling(format!("{component} for {target}"), compiling).await?;
        let artifact = artifact.during(|| format!("cannot compile for {target}"))?;
        compiled.push((target, artifact.into()));
    }
    Ok(compiled)
}
