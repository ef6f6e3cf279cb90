//! `longshore compile`: a component, compiled ahead of time.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::{print_fields, source};
use crate::cli::{Compile, Format};

#[derive(Serialize)]
struct Compiled {
    component: String,
    digest: String,
    file: String,
    bytes: usize,
}

pub(super) async fn execute(args: Compile, format: Format) -> anyhow::Result<ExitCode> {
    let source = source(&args.registry, args.component);
    let fetched = source.fetch().await?;
    let (bytes, target, cpu) = (fetched.bytes, args.target, args.cpu);
    let compiling =
        tokio::task::spawn_blocking(move || longshore_sandbox::compile(&bytes, target.as_deref(), cpu));
    let artifact = compiling.await?.with_context(|| format!("cannot compile {source}"))?;
    let written = tokio::fs::write(&args.to, &artifact).await;
    written.with_context(|| format!("cannot write {}", args.to.display()))?;
    let compiled = Compiled {
        component: source.to_string(),
        digest: fetched.digest,
        file: args.to.display().to_string(),
        bytes: artifact.len(),
    };
    let fields = [
        ("component", compiled.component.clone()),
        ("digest", compiled.digest.clone()),
        ("file", compiled.file.clone()),
        ("bytes", compiled.bytes.to_string()),
    ];
    print_fields(&fields, &compiled, format)?;
    Ok(ExitCode::SUCCESS)
}
