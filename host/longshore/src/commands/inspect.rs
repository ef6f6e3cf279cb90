//! `longshore inspect`: what a component imports and exports, and what has to be granted to it.

use serde::Serialize;

use super::added::Added;
use super::print;
use crate::cli::{Format, InspectArgs};
use crate::exit::{Clause, Exit, Failure};
use longshore_component::Source;
use longshore_component::registry::Details;
use longshore_sandbox::{Description, Grants, Import};

#[derive(Serialize)]
struct Inspected {
    component: String,
    /// What its registry says of it, if it is in one.
    #[serde(flatten)]
    registry: Option<Details>,
    #[serde(flatten)]
    description: Description,
    #[serde(flatten)]
    added: Added,
    #[serde(flatten)]
    reach: Reach,
}

/// Where a handler's own requests may go.
#[derive(Serialize)]
struct Reach {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_http: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_private: Vec<String>,
}

impl Reach {
    fn of(grants: &Grants) -> Self {
        Self {
            allow_http: grants.http.iter().map(ToString::to_string).collect(),
            allow_private: grants.private.iter().map(ToString::to_string).collect(),
        }
    }
}

pub(super) async fn execute(args: InspectArgs, format: Format) -> Result<Exit, Failure> {
    let source = args.registry.source(args.component.component).map_err(Failure::usage)?;
    let fetched = source.fetch().await?;
    let registry = match &source {
        Source::Registry(address, access) => Some(access.details(address).await?),
        Source::File(_) => None,
    };
    let grants = args.grants.grants().map_err(Failure::usage)?;
    let description = longshore_sandbox::describe(&fetched.bytes, &grants)
        .during(|| format!("{source} is no component that longshore can read"))?;
    let added = Added::by(&grants);
    let reach = Reach::of(&grants);
    let inspected = Inspected { component: source.to_string(), registry, description, added, reach };
    let found = &inspected.description;
    let mut fields = vec![
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
    if let Some(Details { manifest, annotations, precompiled }) = &inspected.registry {
        fields.push(("manifest", manifest.clone()));
        fields
            .push(("precompiled", if precompiled.is_empty() { "no".into() } else { precompiled.join(", ") }));
        fields.extend(annotations.iter().map(|(name, value)| (name.as_str(), value.clone())));
    }
    fields.extend(inspected.reach.allow_http.iter().map(|host| ("HTTP to", host.clone())));
    fields.extend(inspected.reach.allow_private.iter().map(|range| ("HTTP to private", range.clone())));
    for (name, value) in inspected.added.fields() {
        fields.push((name, value));
    }
    print::fields(&fields, &inspected, format)?;
    if format == Format::Table {
        let rows = found.imports.iter().map(|import| vec![import.name.clone(), offered(import)]);
        print::table(&["imports", "offered"], rows)?;
    }
    match obstacle(found) {
        Some(cause) => Err(Failure::fault(format!("{source} cannot be run with these grants: {cause}"))),
        None => Ok(Exit::Done),
    }
}

/// Why a component cannot be run, as far as its imports and exports say.
fn obstacle(found: &Description) -> Option<String> {
    if !found.handler {
        return Some("it is no handler; build it for the world of wit/handler.wit".into());
    }
    let missing = found.imports.iter().find(|import| !import.offered && !import.refused);
    if let Some(import) = missing {
        return Some(format!("it needs {}, which no host offers; build it without that", import.name));
    }
    let needed = found.imports.iter().find_map(|import| {
        let grant = import.grant.as_ref().filter(|grant| grant.needed && !grant.granted)?;
        Some((&import.name, grant.flag))
    });
    needed.map(|(import, flag)| format!("it needs {import}; grant it with `{flag}`"))
}

fn offered(import: &Import) -> String {
    match &import.grant {
        _ if import.refused => "no: each use is refused; wasi:http is there instead".into(),
        _ if !import.offered => "no: such a component cannot be loaded".into(),
        None => "yes".into(),
        Some(grant) if grant.granted => "yes: granted".into(),
        Some(grant) if grant.needed => format!("not granted, and needed: {}", grant.flag),
        Some(grant) => format!("yes, and empty: {} would fill it", grant.flag),
    }
}
