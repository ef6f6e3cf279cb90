//! Whether a container has room for the handlers that run in it at once.

use super::ruling::Ruling;
use crate::cli::{RunArgs, SandboxArgs};
use crate::memory;
use longshore_sandbox::{Grants, Limits};

/// The smallest limit of memory that is named as a mend, in MiB. Few components start with less.
const SMALLEST_MEMORY_MIB: u64 = 16;

/// How a container's memory is written: `1Gi`, `0.5Gi`, `512Mi`. In bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let unit =
        |suffix: &str, mebibytes: f64| Some(text.strip_suffix(suffix)?.parse::<f64>().ok()? * mebibytes);
    let mebibytes = unit("Gi", 1024.0).or_else(|| unit("Mi", 1.0)).filter(|it| (1.0..1e9).contains(it))?;
    Some((mebibytes as u64) << 20)
}

/// How many handlers a run admits at once in a container of this memory.
pub(super) fn admitted(run: &RunArgs, container: Option<u64>) -> u64 {
    let asked = u64::from(run.concurrency.concurrency);
    let Some(container) = container else { return asked };
    let (limits, grants) = demand(&run.sandbox);
    asked.min(memory::fit(container, &limits, &grants).max(1) as u64)
}

/// Whether `concurrency` handlers fit into a container beside each other, if each uses all that it
/// may.
pub(super) fn ruling(container: u64, concurrency: u16, sandbox: &SandboxArgs) -> Ruling {
    let (limits, grants) = demand(sandbox);
    let asked = usize::from(concurrency);
    let fits = memory::fit(container, &limits, &grants);
    if fits >= asked {
        return Ruling::ok();
    }
    let mut mends = Vec::new();
    if fits > 0 {
        mends.push(format!("LONGSHORE_CONCURRENCY to {fits}"));
    }
    let largest = memory::largest(container, asked, &limits, &grants) >> 20;
    if largest >= SMALLEST_MEMORY_MIB {
        mends.push(format!("LONGSHORE_MEMORY to {largest}"));
    }
    let needed = memory::needed(asked, &limits, &grants).div_ceil(1 << 20);
    mends.push(format!("the container's memory to {needed} MiB"));
    Ruling::wrong(format!(
        "{asked} handlers at once may use {} MiB each, and the container's {} MiB hold {fits} of them beside the host: a run admits no more than {} at once; set {}",
        sandbox.memory,
        container >> 20,
        fits.max(1),
        mends.join(", or ")
    ))
}

fn demand(sandbox: &SandboxArgs) -> (Limits, Grants) {
    (sandbox.limits(), sandbox.grants.reach())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_containers_memory_is_read_as_resource_manager_writes_it() {
        for (text, mebibytes) in [("1Gi", 1024), ("0.5Gi", 512), ("2.25Gi", 2304), ("512Mi", 512)] {
            assert_eq!(bytes(text), Some(mebibytes << 20), "{text}");
        }
        for text in ["", "Gi", "1", "-1Gi", "NaNGi", "infGi", "1e300Gi"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
