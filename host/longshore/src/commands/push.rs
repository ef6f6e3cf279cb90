//! `longshore push`: a component, into a registry.

use super::loading::while_compiling;
use super::print;
use crate::cli::{Format, PushArgs};
use crate::exit::{Clause, Exit, Failure};
use longshore_component::{Source, registry};
use longshore_sandbox::{Cpu, Grants};

pub(super) async fn execute(args: PushArgs, format: Format) -> Result<Exit, Failure> {
    let PushArgs { component, to, precompiled, target, annotations, registry } = args;
    let Source::File(path) = &component else {
        return Err(Failure::usage(format!(
            "push takes a file, and {component} is in a registry already; name the file before the address"
        )));
    };
    let bytes = component.fetch().await?.bytes;
    let description = longshore_sandbox::describe(&bytes, &Grants::default())
        .during(|| format!("cannot push {}", path.display()))?;
    if !description.handler {
        let found =
            if description.exports.is_empty() { "nothing".into() } else { description.exports.join(", ") };
        return Err(Failure::fault(format!(
            "{} is no handler: it exports {found}; build it for the world of wit/handler.wit",
            path.display()
        )));
    }
    let mut compiled = Vec::new();
    let targets =
        if precompiled && target.is_empty() { vec![longshore_sandbox::own_target()] } else { target };
    for target in targets {
        let (bytes, named) = (bytes.clone(), target.clone());
        let compiling = tokio::task::spawn_blocking(move || {
            longshore_sandbox::compile(&bytes, Some(&named), Cpu::Baseline)
        });
        let artifact = while_compiling(format!("{component} for {target}"), compiling).await?;
        let artifact = artifact.during(|| format!("cannot compile for {target}"))?;
        compiled.push((target, artifact.into()));
    }
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
