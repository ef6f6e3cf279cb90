//! `longshore inspect`: what a component imports and exports.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::{print_fields, print_table};
use crate::cli::{Inspect, Output};
use crate::sandbox::{self, Description};

#[derive(Serialize)]
struct Inspected {
    component: String,
    #[serde(flatten)]
    description: Description,
}

pub(super) async fn execute(args: Inspect, output: Output) -> anyhow::Result<ExitCode> {
    let fetched = args.component.fetch().await?;
    let description = sandbox::describe(&fetched.bytes)
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
        let offered = |offered: bool| if offered { "yes" } else { "no: such a component cannot be loaded" };
        let rows =
            found.imports.iter().map(|import| vec![import.name.clone(), offered(import.offered).to_owned()]);
        print_table(&["imports", "offered"], rows)?;
    }
    Ok(ExitCode::SUCCESS)
}
