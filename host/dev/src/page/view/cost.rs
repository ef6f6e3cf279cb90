//! What the executions would have cost.

use maud::{Markup, html};

use super::marks::card;
use crate::page::board::Board;
use crate::page::snapshot::Snapshot;
use crate::page::text::{lasted, number};

/// List prices of active use in the Consumption plan, in US dollars, as last known
/// ([Azure Container Apps pricing](https://azure.microsoft.com/pricing/details/container-apps/)).
const VCPU_SECOND: f64 = 0.000_024;
const GIB_SECOND: f64 = 0.000_003;
/// When they were last known.
const AS_OF: &str = "November 2026";
/// What a month of a subscription has free of charge.
const FREE_VCPU_SECONDS: u64 = 180_000;
const FREE_GIB_SECONDS: u64 = 360_000;

/// The cost of what is in the history.
pub(super) fn cost(board: &Board, snapshot: &Snapshot) -> Markup {
    if !board.names.has_job() {
        return html! {};
    }
    let seconds = snapshot.executed.ran_ms.max(0) as f64 / 1000.0;
    let (vcpu, gib) = (seconds * board.names.cpu, seconds * board.names.memory_gib);
    let dollars = vcpu * VCPU_SECOND + gib * GIB_SECOND;
    let content = html! {
        p.cost-sum { "$" (format!("{dollars:.4}")) }
        p { (lasted(snapshot.executed.ran_ms)) " of replicas with " (board.names.cpu) " vCPU and " (board.names.memory_gib)
            " GiB: " (number(vcpu as u64)) " vCPU-seconds and " (number(gib as u64)) " GiB-seconds." }
        details #prices {
            summary { "Prices" }
            p { "$" (VCPU_SECOND) " a vCPU-second and $" (GIB_SECOND) " a GiB-second: list prices of the Consumption plan, as last known in "
                (AS_OF) " (azure.microsoft.com/pricing/details/container-apps). Look them up for your region." }
            p { "A month has " (number(FREE_VCPU_SECONDS)) " vCPU-seconds and " (number(FREE_GIB_SECONDS))
                " GiB-seconds free of charge; they are not subtracted here. Calls of the queue cost extra." }
        }
    };
    card("cost", "What Azure would charge", &html! {}, &content)
}
