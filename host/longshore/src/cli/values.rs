//! How values on the command line are read.

use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
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

/// The longest duration that a flag takes: clocks cannot count on for ever.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A duration such as `30s`, `5m` or `1h 30m`; `0` needs no unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err("it is longer than ten years; name a shorter time".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it as in 30s, 5m or 1h")),
    }
}

/// The time that a handler, or a component that is loaded, has. Clocks tick in milliseconds.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time < Duration::from_millis(1) => {
            Err("it is shorter than 1ms, which leaves no time at all; name some, as in 30s".into())
        }
        time => Ok(time),
    }
}

/// The longest that the end of a run may wait for telemetry: SIGTERM and its grace of 20 s leave
/// ten of the 30 s that Container Apps gives.
const LONGEST_FLUSH: Duration = Duration::from_secs(10);

/// How long the end of a run waits for telemetry.
pub(super) fn flush(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time > LONGEST_FLUSH => {
            Err("it is longer than 10s, and a replica may be killed before; name a shorter time".into())
        }
        time => Ok(time),
    }
}

/// The name and value of a property.
pub(super) fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn show(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(duration)
}

/// What one use of a flag names, or its variable: in a variable each stands on a line of its own.
#[derive(Clone, Debug)]
pub struct Lines<T>(Vec<(LinePlace, T)>);

/// Where one value of a repeated flag stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinePlace {
    Flag,
    /// In its variable, on this line.
    Variable(usize),
    /// In the project file.
    Project,
}

impl<T> Lines<T> {
    /// What a flag names.
    #[cfg(test)]
    pub(super) fn one(value: T) -> Self {
        Self(vec![(LinePlace::Flag, value)])
    }

    /// What is named, each with its place.
    pub(super) fn placed(&self) -> impl Iterator<Item = (LinePlace, &T)> {
        self.0.iter().map(|(place, value)| (*place, value))
    }
}

/// Reads a flag, or its variable, whose lines are read one by one. Empty lines are skipped. Its
/// error names a line by its number, and does not repeat what stands there, since that may be a
/// secret.
pub(super) struct LinesParser<T>(fn(&str) -> Result<T, String>);

/// Reads each line with `read`, whose errors do not repeat what they read.
pub(super) fn lines<T>(read: fn(&str) -> Result<T, String>) -> LinesParser<T> {
    LinesParser(read)
}

impl<T> Clone for LinesParser<T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for LinesParser<T> {
    type Value = Lines<T>;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Lines<T>, clap::Error> {
        self.parse_ref_(command, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Lines<T>, clap::Error> {
        let refuse = |place: String, cause: String| {
            let message = format!("invalid value {place}: {cause}");
            command.clone().error(ErrorKind::ValueValidation, message)
        };
        let flag = || format!("for '{}'", arg.map(Arg::to_string).unwrap_or_default());
        let Some(text) = value.to_str() else { return Err(refuse(flag(), "it is not UTF-8".into())) };
        if source != ValueSource::EnvVariable {
            // No such flag has a default of its own.
            let is_of_project = source == ValueSource::DefaultValue;
            let place = if is_of_project { LinePlace::Project } else { LinePlace::Flag };
            return match (self.0)(text) {
                Ok(value) => Ok(Lines(vec![(place, value)])),
                Err(cause) => Err(refuse(flag(), cause)),
            };
        }
        let variable = arg.and_then(|arg| arg.get_env()?.to_str()).unwrap_or_default();
        let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
        let read = |(number, line)| match (self.0)(line) {
            Ok(value) => Ok((LinePlace::Variable(number), value)),
            Err(cause) => Err(refuse(format!("in line {number} of {variable}"), cause)),
        };
        lines.map(read).collect::<Result<_, _>>().map(Lines)
    }
}

/// The variable of a flag.
pub(super) fn variable_of(flag: &str) -> String {
    format!("LONGSHORE_{}", flag.to_uppercase().replace('-', "_"))
}

/// What all uses of a flag name together.
pub(super) fn flat<T: Clone>(groups: &[Lines<T>]) -> Vec<T> {
    groups.iter().flat_map(Lines::placed).map(|(_, value)| value.clone()).collect()
}

/// Reads a value, and says what is wrong with it as text.
pub(super) fn parse<T: FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}
