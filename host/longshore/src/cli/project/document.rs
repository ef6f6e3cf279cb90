//! The text of a project file, read into what each key says.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{ProjectKey, ProjectKeys, ValueShape};
use super::relative::rebased;
use super::token_hosts::strays;
use super::value::{BUILD, BuildSteps, PROFILES, ProjectValue};

/// What the keys of one table say.
pub(super) type Table = BTreeMap<String, ProjectValue>;

/// A whole file.
#[derive(Debug)]
pub(super) struct Document {
    /// The keys that stand in no profile.
    pub(super) base: Table,
    /// Each profile, by its name.
    pub(super) profiles: BTreeMap<String, Table>,
    /// How the component is built.
    pub(super) build: BuildSteps,
}

/// What is wrong with a file, and where. The line and the column count from 1.
#[derive(Debug)]
pub(super) struct Misread {
    pub(super) line: usize,
    pub(super) column: usize,
    /// It shows nothing that may be a secret.
    pub(super) cause: String,
}

struct Reader<'a> {
    text: &'a str,
    keys: &'a ProjectKeys,
    /// Where the file lies.
    directory: &'a Path,
}

type Key<'t> = Spanned<std::borrow::Cow<'t, str>>;

impl Document {
    /// Reads the text of a file that lies in this directory.
    pub(super) fn read(text: &str, keys: &ProjectKeys, directory: &Path) -> Result<Self, Misread> {
        let reader = Reader { text, keys, directory };
        let parsed = DeTable::parse(text).map_err(|error| {
            // The message of the error alone: its `Display` shows the line, and a secret in it.
            let at = error.span().map_or(0, |span| span.start);
            reader.misread(at, format!("this is no TOML: {}", error.message()))
        })?;
        reader.document(parsed.get_ref())
    }
}

impl Reader<'_> {
    fn document(&self, root: &DeTable<'_>) -> Result<Document, Misread> {
        let mut build = BuildSteps::default();
        let mut profiles = BTreeMap::new();
        let mut settings = Vec::new();
        for (key, value) in in_order(root) {
            match key.get_ref().as_ref() {
                BUILD => build = self.build(self.table(key, value)?)?,
                PROFILES => {
                    for (name, value) in in_order(self.table(key, value)?) {
                        let settings = in_order(self.table(name, value)?);
                        let table = self.settings(settings, Some(name.get_ref()), &[])?;
                        profiles.insert(name.get_ref().to_string(), table);
                    }
                }
                _ => settings.push((key, value)),
            }
        }
        let base = self.settings(settings, None, &[BUILD, PROFILES])?;
        Ok(Document { base, profiles, build })
    }

    fn settings(
        &self,
        entries: Vec<(&Key<'_>, &Spanned<DeValue<'_>>)>,
        profile: Option<&str>,
        others: &[&str],
    ) -> Result<Table, Misread> {
        let mut table = Table::new();
        for (name, value) in entries {
            let (key, at) = (name.get_ref().as_ref(), name.span().start);
            let Some(declared) = self.keys.get(key) else {
                let nearest = self.keys.nearest(key, others);
                return Err(self.misread(
                    at,
                    format!("there is no key `{key}`; the nearest is `{nearest}`: write that one, or take the other away; `longshore config schema` lists them"),
                ));
            };
            let texts = self.texts(key, declared, value)?;
            let line = self.position(at).0;
            let value = ProjectValue { texts, line, profile: profile.map(str::to_owned) };
            if !self.keys.is_off(key, &value)
                && let Some((rival, other)) = self.keys.rivals(key).find_map(|it| table.get_key_value(it))
                && !self.keys.is_off(rival, other)
            {
                let cause = format!(
                    "`{key}` cannot be used with `{rival}`, which stands in line {}; take one of them away",
                    other.line
                );
                return Err(self.misread(at, cause));
            }
            table.insert(key.to_owned(), value);
        }
        Ok(table)
    }

    /// The value of a key, once for each use of its flag.
    fn texts(
        &self,
        key: &str,
        declared: &ProjectKey,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<String>, Misread> {
        let at = value.span().start;
        let refuse = |takes: &str| {
            Err(self.misread(at, format!("`{key}` takes {takes}, and this is {}", kind(value.get_ref()))))
        };
        match (declared.shape(), value.get_ref()) {
            (ValueShape::Switch, DeValue::Boolean(is_on)) => Ok(vec![is_on.to_string()]),
            (ValueShape::Switch, _) => refuse("`true` or `false`"),
            (ValueShape::Number, number @ DeValue::Integer(_)) => {
                Ok(vec![self.text(key, declared, scalar(number).unwrap_or_default(), at)?])
            }
            (ValueShape::Number, _) => refuse("a whole number without quotes"),
            (ValueShape::Text, DeValue::String(text)) => {
                Ok(vec![self.text(key, declared, text.to_string(), at)?])
            }
            (ValueShape::Text, _) => refuse("a text in quotes"),
            (ValueShape::List | ValueShape::Table, DeValue::Array(items)) => {
                let items = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => self.text(key, declared, text.to_string(), item.span().start),
                    other => {
                        let cause =
                            format!("each item of `{key}` is a text in quotes, and this is {}", kind(other));
                        Err(self.misread(item.span().start, cause))
                    }
                });
                items.collect()
            }
            (ValueShape::Table, DeValue::Table(table)) => {
                let items = in_order(table).into_iter().map(|(name, item)| {
                    let at = name.span().start;
                    if name.get_ref().contains('=') {
                        return Err(self.misread(at, format!("a name in `{key}` holds no `=`")));
                    }
                    let Some(text) = scalar(item.get_ref()) else {
                        let cause = format!(
                            "each value of `{key}` is a text, a number, true or false, and this is {}",
                            kind(item.get_ref())
                        );
                        return Err(self.misread(item.span().start, cause));
                    };
                    self.text(key, declared, format!("{}={text}", name.get_ref()), at)
                });
                items.collect()
            }
            (ValueShape::List, _) => refuse("a list of texts, `[\"…\"]`"),
            (ValueShape::Table, _) => refuse("a table of names and values, or a list of texts"),
        }
    }

    /// A value as the flag takes it, if the flag takes it.
    fn text(&self, key: &str, declared: &ProjectKey, text: String, at: usize) -> Result<String, Misread> {
        let text = rebased(declared, text, self.directory);
        let checked = declared.check(key, &text).and_then(|()| strays(key, &text).map_or(Ok(()), Err));
        checked.map_err(|cause| self.misread(at, format!("`{key}`: {cause}")))?;
        Ok(text)
    }

    fn build(&self, table: &DeTable<'_>) -> Result<BuildSteps, Misread> {
        let mut build = BuildSteps::default();
        for (name, value) in in_order(table) {
            let (at, line) = (value.span().start, self.position(name.span().start).0);
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("command", DeValue::String(text)) if !text.trim().is_empty() => {
                    build.command = Some((text.to_string(), line));
                }
                ("command", _) => {
                    return Err(
                        self.misread(at, "`build.command` is what a shell runs, a text in quotes".into())
                    );
                }
                ("sources", DeValue::Array(items)) => {
                    let path = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                        DeValue::String(path) if !path.is_empty() => {
                            Ok(self.directory.join(path.as_ref()).display().to_string())
                        }
                        _ => Err(self.misread(
                            item.span().start,
                            "each item of `build.sources` is a path in quotes".into(),
                        )),
                    };
                    build.sources = Some((items.iter().map(path).collect::<Result<_, _>>()?, line));
                }
                ("sources", _) => {
                    return Err(self.misread(at, "`build.sources` is a list of paths, `[\"src\"]`".into()));
                }
                (other, _) => {
                    let cause =
                        format!("there is no key `build.{other}`; write `build.command` or `build.sources`");
                    return Err(self.misread(name.span().start, cause));
                }
            }
        }
        Ok(build)
    }

    fn table<'t, 'v>(
        &self,
        key: &Key<'_>,
        value: &'t Spanned<DeValue<'v>>,
    ) -> Result<&'t DeTable<'v>, Misread> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            other => Err(self.misread(
                value.span().start,
                format!("`{}` is a table, and this is {}", key.get_ref(), kind(other)),
            )),
        }
    }

    fn misread(&self, at: usize, cause: String) -> Misread {
        let (line, column) = self.position(at);
        Misread { line, column, cause }
    }

    /// The line and the column of a byte, as editors count them.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(at)];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

/// The entries of a table, as they stand in the file.
fn in_order<'t, 'v>(table: &'t DeTable<'v>) -> Vec<(&'t Key<'v>, &'t Spanned<DeValue<'v>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// One value as a text.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(is_on) => Some(is_on.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        // What is too long for 128 bits is refused by the flag.
        DeValue::Integer(number) => Some(
            i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.to_string(), |it| it.to_string()),
        ),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
