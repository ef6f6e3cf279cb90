//! How values on the command line are read.

use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

/// Reads a value that may hold a secret. Its error does not repeat the value, as clap's own would.
pub(super) struct Unquoted<T>(PhantomData<fn() -> T>);

impl<T> Unquoted<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Unquoted<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T> TypedValueParser for Unquoted<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let parsed = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned());
        parsed.and_then(|text| text.parse().map_err(|error: T::Err| error.to_string())).map_err(|cause| {
            let arg = arg.map(Arg::to_string).unwrap_or_default();
            let message = format!("invalid value for '{arg}': {cause}");
            command.clone().error(ErrorKind::ValueValidation, message)
        })
    }
}

/// A duration such as `30s`, `5m` or `1h 30m`; `0` needs no unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as in 30s, 5m or 1h"))
}

pub(super) fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn show(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(duration)
}

/// What one flag, or its variable, names: in a variable each stands on a line of its own.
#[derive(Clone, Debug)]
pub struct Lines<T>(pub Vec<T>);

/// Reads a flag, or its variable, whose lines are read one by one. Empty lines are skipped.
pub(super) fn lines<T>(
    read: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Lines<T>, String> + Clone + Send + Sync {
    move |text| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(read).collect::<Result<_, _>>().map(Lines)
    }
}

/// What all uses of a flag name together.
pub(super) fn flat<T: Clone>(groups: &[Lines<T>]) -> Vec<T> {
    groups.iter().flat_map(|group| group.0.clone()).collect()
}

/// Reads a value, and says what is wrong with it as text.
pub(super) fn parse<T: FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}
