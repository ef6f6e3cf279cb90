//! `longshore push`: a component, into a registry.

use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;

use super::print_fields;
use crate::cli::{Format, Push};
use longshore_component::registry;
use longshore_sandbox::{Cpu, Grants};

pub(super) async fn execute(args: Push, format: Format) -> anyhow::Result<ExitCode> {
    let Push { component, to, precompiled, target, annotations, registry } = args;
    let read = tokio::fs::read(&component).await;
    let bytes = read.with_context(|| format!("cannot read {}", component.display()))?;
    let description = longshore_sandbox::describe(&bytes, &Grants::default())
        .with_context(|| format!("cannot push {}", component.display()))?;
    if !description.handler {
        let found =
            if description.exports.is_empty() { "nothing".into() } else { description.exports.join(", ") };
        bail!(
            "{} is no handler: it exports {found}; build it for the world of wit/handler.wit",
            component.display()
        );
    }
    let bytes = Bytes::from(bytes);
    let mut compiled = Vec::new();
    let targets = match precompiled && target.is_empty() {
        true => vec![longshore_sandbox::own_target()],
        false => target,
    };
    for target in targets {
        let (bytes, named) = (bytes.clone(), target.clone());
        let compiling = tokio::task::spawn_blocking(move || {
            longshore_sandbox::compile(&bytes, Some(&named), Cpu::Baseline)
        });
        let artifact = compiling.await?.with_context(|| format!("cannot compile for {target}"))?;
        compiled.push((target, artifact.into()));
    }
    let pushed = registry::push(&to, &registry.access(), bytes, &description, compiled, annotations).await;
    let pushed = pushed.with_context(|| format!("cannot push to {to}"))?;
    let fields = [
        ("pushed", to.to_string()),
        ("by digest", pushed.address.clone()),
        ("component", pushed.component.clone()),
        ("bytes", pushed.bytes.to_string()),
    ];
    print_fields(&fields, &pushed, format)?;
    Ok(ExitCode::SUCCESS)
}
