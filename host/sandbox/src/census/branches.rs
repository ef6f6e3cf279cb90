//! How many values the branches of a function carry.
//!
//! A branch to a block with results carries them, as one to a loop carries its parameters. A table
//! of branches does so for each of its targets, and the compiler keeps two kilobytes for each
//! value: 900 targets of 900 values are a function of nine kilobytes.

use wasmparser::{BlockType, BrTable, FunctionBody, Operator};

use super::space::Arities;
use crate::error::{LoadError, damaged};

/// A function whose bytes times the largest arity are below this is not read: its branches cannot
/// carry much. Nearly all functions are.
const WORTH_READING: u64 = 200_000;

/// Values that the branches of this function carry, as far as there are two or more at a time.
pub(super) fn values(body: &FunctionBody<'_>, arities: &Arities) -> Result<u64, LoadError> {
    if (body.range().len() as u64).saturating_mul(u64::from(arities.largest)) < WORTH_READING {
        return Ok(0);
    }
    // The label around everything stands for the function's own results.
    let mut labels = vec![arities.most_results];
    let mut values = 0_u64;
    let mut add = |labels: &[u32], depth: u32| {
        let place = labels.len().checked_sub(1 + depth as usize);
        let arity = place.and_then(|place| labels.get(place)).copied().unwrap_or_default();
        if arity > 1 {
            values += u64::from(arity);
        }
    };
    for operator in body.get_operators_reader().map_err(damaged)? {
        match operator.map_err(damaged)? {
            Operator::Block { blockty } | Operator::If { blockty } => labels.push(results(blockty, arities)),
            Operator::TryTable { try_table } => labels.push(results(try_table.ty, arities)),
            Operator::Loop { blockty } => labels.push(match blockty {
                BlockType::FuncType(index) => arities.of(index).0,
                BlockType::Empty | BlockType::Type(_) => 0,
            }),
            Operator::End => {
                labels.pop();
            }
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => add(&labels, relative_depth),
            Operator::BrTable { targets } => {
                for depth in distinct(&targets)? {
                    add(&labels, depth);
                }
            }
            _ => {}
        }
    }
    Ok(values)
}

fn results(block: BlockType, arities: &Arities) -> u32 {
    match block {
        BlockType::Empty => 0,
        BlockType::Type(_) => 1,
        BlockType::FuncType(index) => arities.of(index).1,
    }
}

fn distinct(table: &BrTable<'_>) -> Result<Vec<u32>, LoadError> {
    let mut targets = table.targets().collect::<Result<Vec<_>, _>>().map_err(damaged)?;
    targets.push(table.default());
    targets.sort_unstable();
    targets.dedup();
    Ok(targets)
}
