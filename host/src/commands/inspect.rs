//! `longshore inspect`: what a component imports and exports, and what has to be granted to it.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::{print_fields, print_table};
use crate::cli::{Inspect, Output, OutputQueue};
use crate::sandbox::{self, Description, Import};

#[derive(Serialize)]
struct Inspected {
    component: String,
    #[serde(flatten)]
    description: Description,
}

pub(super) async fn execute(
    args: Inspect,
    outputs: &[OutputQueue],
    output: Output,
) -> anyhow::Result<ExitCode> {
    let fetched = args.component.fetch().await?;
    let description = sandbox::describe(&fetched.bytes, &args.grants.grants(outputs))
        .with_context(|| format!("{} is no component that longshore can read", args.component))?;
    let inspected = Inspected { component: args.component.to_string(), description };
    let found = &inspected.description;
    let fields = [
        ("component", inspected.component.clone()),
        ("digest", found.digest.clone()),
        ("bytes", found.size.to_string()),
        (
            "handler",
            if found.handler { "yes" } else { "no: it does not export longshore:handler/handler@0.1.0" }
                .into(),
        ),
        ("exports", found.exports.join(", ")),
    ];
    print_fields(&fields, &inspected, output)?;
    if output == Output::Table {
        let rows = found.imports.iter().map(|import| vec![import.name.clone(), offered(import)]);
        print_table(&["imports", "offered"], rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn offered(import: &Import) -> String {
    match &import.grant {
        _ if !import.offered => "no: such a component cannot be loaded".into(),
        None => "yes".into(),
        Some(grant) if grant.granted => "yes: granted".into(),
        Some(grant) if grant.needed => format!("not granted, and needed: {}", grant.flag),
        Some(grant) => format!("yes, and empty: {} would fill it", grant.flag),
    }
}
