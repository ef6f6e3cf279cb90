//! `longshore compile`: a component, compiled ahead of time.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::Mode;
use serde::Serialize;

use super::loading::while_compiling;
use super::print;
use crate::cli::{CompileArgs, Format};
use crate::exit::{Clause, Exit, Failure};

#[derive(Serialize)]
struct Compiled {
    component: String,
    digest: String,
    file: String,
    bytes: usize,
}

pub(super) async fn execute(args: CompileArgs, umask: Mode, format: Format) -> Result<Exit, Failure> {
    let source = args.registry.source(args.component.component).map_err(Failure::usage)?;
    let fetched = source.fetch().await?;
    let (bytes, target, cpu) = (fetched.bytes, args.target, args.cpu);
    let compiling =
        tokio::task::spawn_blocking(move || longshore_sandbox::compile(&bytes, target.as_deref(), cpu));
    let artifact =
        while_compiling(&source, compiling).await?.during(|| format!("cannot compile {source}"))?;
    let written = tokio::fs::write(&args.to, &artifact).await;
    // It is the user's file, to be put into an image or handed on.
    let mode = (Mode::from_raw_mode(0o666) - umask).bits();
    let open = tokio::fs::set_permissions(&args.to, Permissions::from_mode(mode)).await;
    written.and(open).during(|| format!("cannot write {}", args.to.display()))?;
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
    print::fields(&fields, &compiled, format)?;
    Ok(Exit::Done)
}
