//! Which traces are exported ([SDK
//! configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)).

use std::fmt;

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};

use super::variables::Variables;

/// Which sampler, and its share.
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";
/// The samplers that there are.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];
/// The flag of a trace that is exported.
pub(super) const SAMPLED: u8 = 1;

/// Decides for each span whether it is exported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TraceSampler {
    /// Whether what the parent says comes first.
    heeds_parent: bool,
    root: RootSampler,
}

/// Which traces are exported that nobody has decided on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum RootSampler {
    All,
    None,
    /// So large a part of all, from 0 to 1.
    Share(f64),
}

impl Default for TraceSampler {
    /// What the sender decided, else all.
    fn default() -> Self {
        Self { heeds_parent: true, root: RootSampler::All }
    }
}

impl fmt::Display for TraceSampler {
    /// As its variable names it, with its share.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.heeds_parent { "parentbased_" } else { "" })?;
        match self.root {
            RootSampler::All => f.write_str("always_on"),
            RootSampler::None => f.write_str("always_off"),
            RootSampler::Share(share) => write!(f, "traceidratio of {share}"),
        }
    }
}

impl TraceSampler {
    /// The sampler that the variables name. What they name in vain is said.
    pub(super) fn of(variables: &Variables<'_>, said: &mut Vec<String>) -> Self {
        let Some(name) = variables.get(SAMPLER) else { return Self::default() };
        if !SAMPLERS.contains(&name.as_str()) {
            let all = SAMPLERS.join(", ");
            said.push(format!("{SAMPLER} is none of {all}, and parentbased_always_on is taken"));
            return Self::default();
        }
        let of_parent = name.strip_prefix("parentbased_");
        let root = match of_parent.unwrap_or(&name) {
            "always_on" => RootSampler::All,
            "always_off" => RootSampler::None,
            _ => RootSampler::Share(share(variables, said)),
        };
        Self { heeds_parent: of_parent.is_some(), root }
    }

    /// Whether a span of this trace is exported, whose parent has these flags, if it has one.
    pub(super) fn samples(&self, trace: u128, parent: Option<u8>) -> bool {
        match (parent.filter(|_| self.heeds_parent), self.root) {
            (Some(flags), _) => flags & SAMPLED != 0,
            (None, RootSampler::All) => true,
            (None, RootSampler::None) => false,
            (None, RootSampler::Share(share)) => {
                // All who take a share of traces have to take the same ones.
                let (sampler, trace) = (Sampler::TraceIdRatioBased(share), TraceId::from(trace));
                let result = sampler.should_sample(None, trace, "", &SpanKind::Internal, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            }
        }
    }
}

fn share(variables: &Variables<'_>, said: &mut Vec<String>) -> f64 {
    let share = variables.get(SHARE).and_then(|it| it.parse::<f64>().ok());
    share.filter(|it| (0.0..=1.0).contains(it)).unwrap_or_else(|| {
        said.push(format!(
            "{SHARE} is no number from 0 to 1, and every trace is taken; set the share that is to be"
        ));
        1.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::otel::variables::found;

    #[test]
    fn each_sampler_decides_as_the_specification_has_it() {
        // A trace is in half of all if its last seven bytes are in the lower half of theirs.
        const LOW: u128 = 1 << 60;
        const HIGH: u128 = u64::MAX as u128;
        let (sampled, not) = (Some(SAMPLED), Some(0));
        for (name, low, high, of_sampled, of_unsampled) in [
            ("", true, true, true, false),
            ("no sampler", true, true, true, false),
            ("always_on", true, true, true, true),
            ("always_off", false, false, false, false),
            ("traceidratio", true, false, false, true),
            ("parentbased_always_on", true, true, true, false),
            ("parentbased_always_off", false, false, true, false),
            ("parentbased_traceidratio", true, false, true, false),
        ] {
            let set = [(SAMPLER, name), (SHARE, "0.5")];
            let get = |name: &str| found(&set, name);
            let sampler = TraceSampler::of(&Variables(&get), &mut Vec::new());
            let found = (
                sampler.samples(LOW, None),
                sampler.samples(HIGH, None),
                sampler.samples(HIGH, sampled),
                sampler.samples(LOW, not),
            );
            assert_eq!(found, (low, high, of_sampled, of_unsampled), "{name}");
        }
    }
}
