//! `--output`, which is two things: what standard output is for, and where handlers may send messages.

use clap::ValueEnum;

use super::sandbox::Lines;
use super::{Cli, Output};
use longshore_queue::QueueUrl;

/// One `--output`.
#[derive(Clone, Debug)]
pub enum OutputArg {
    /// What standard output is for.
    Format(Output),
    /// A queue that handlers may send to.
    Queue(OutputQueue),
}

/// A queue that handlers may send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputQueue {
    /// What handlers call it.
    pub name: String,
    /// Where it is.
    pub url: QueueUrl,
}

impl Cli {
    /// What standard output is for.
    pub fn format(&self) -> Output {
        let formats = self.arguments().filter_map(|output| match output {
            OutputArg::Format(format) => Some(*format),
            OutputArg::Queue(_) => None,
        });
        formats.last().unwrap_or_default()
    }

    /// Where handlers may send messages.
    pub fn output_queues(&self) -> Vec<OutputQueue> {
        let queues = self.arguments().filter_map(|output| match output {
            OutputArg::Format(_) => None,
            OutputArg::Queue(queue) => Some(queue.clone()),
        });
        queues.collect()
    }

    fn arguments(&self) -> impl Iterator<Item = &OutputArg> {
        self.output.iter().flat_map(|Lines(outputs)| outputs)
    }
}

pub(super) fn parse(text: &str) -> Result<OutputArg, String> {
    match text.split_once('=') {
        None => Output::from_str(text, true)
            .map(OutputArg::Format)
            .map_err(|_| format!("{text:?} is none of table, json, and NAME=QUEUE-URL")),
        Some(("", _)) => Err("the output has no name; write it as NAME=QUEUE-URL".into()),
        Some((name, url)) => {
            let url =
                url.parse().map_err(|error: longshore_queue::url::InvalidQueueUrl| error.to_string())?;
            Ok(OutputArg::Queue(OutputQueue { name: name.to_owned(), url }))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Output};

    #[test]
    fn a_format_and_queues_stand_beside_each_other() {
        for place in [1, 2, 6] {
            let mut words = vec!["longshore", "run", "--queue", "file:./q/orders", "--component", "o.wasm"];
            let outputs = ["--output", "a=file:./q/one", "--output", "json", "--output", "b=file:./q/two"];
            words.splice(place..place, outputs);
            let cli = Cli::parse_from(words);
            let names: Vec<_> = cli.output_queues().into_iter().map(|queue| queue.name).collect();
            assert_eq!((cli.format(), names), (Output::Json, vec!["a".to_owned(), "b".to_owned()]));
        }
        let cli = Cli::parse_from(["longshore", "inspect", "o.wasm"]);
        assert_eq!((cli.format(), cli.output_queues().len()), (Output::Table, 0));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for output in ["xml", "=file:./q/one", "a=nonsense"] {
            assert!(
                Cli::try_parse_from(["longshore", "--output", output, "inspect", "o.wasm"]).is_err(),
                "{output}"
            );
        }
    }
}
