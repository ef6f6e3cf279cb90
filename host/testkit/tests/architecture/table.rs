//! The table of crates in docs/internals/architecture.md.

use std::collections::BTreeSet;

/// A row: a crate of ours.
pub struct Row {
    pub name: String,
    pub folder: String,
    /// The crates of ours that it may depend on.
    pub depends_on: BTreeSet<String>,
}

/// The table as it stands.
pub fn table() -> Vec<Row> {
    let page = longshore_testkit::root().join("docs/internals/architecture.md");
    rows(&std::fs::read_to_string(page).unwrap())
}

/// The rows of a page: those whose first cell names a crate.
pub fn rows(page: &str) -> Vec<Row> {
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect::<Vec<_>>();
    let is_crate = |cells: &Vec<String>| cells.len() == 4 && cells[0].starts_with("`longshore");
    let lines: Vec<_> = page.lines().map(cells).filter(is_crate).collect();
    let name = |cells: &Vec<String>| cells[0].trim_matches('`').to_owned();
    let names: BTreeSet<_> = lines.iter().map(name).collect();
    let rows = lines.iter().map(|cells| {
        let own = name(cells);
        let depends_on = depends_on(&cells[3], &own, &names);
        Row { name: own, folder: cells[1].trim_matches('`').to_owned(), depends_on }
    });
    rows.collect()
}

/// The crates that a cell names, without the `longshore-` of each.
fn depends_on(cell: &str, own: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let whole = |short: &str| {
        let name = format!("longshore-{}", short.trim());
        assert!(names.contains(&name), "{own} depends on `{short}`, which the table has no row for");
        name
    };
    if cell == "none of ours" {
        BTreeSet::new()
    } else if let Some(but) = cell.strip_prefix("all of them but ") {
        let but = whole(but);
        names.iter().filter(|name| **name != own && **name != but).cloned().collect()
    } else {
        cell.split(',').map(whole).collect()
    }
}

#[test]
#[should_panic(expected = "longshore-worker depends on `quue`")]
fn a_crate_that_is_not_there_is_no_row_of_the_table() {
    rows("| `longshore-worker` | `host/worker` | the loop | quue |");
}
