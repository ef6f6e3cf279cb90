//! What tests share: real components, and an eye on the log.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod certificates;
pub mod guest;
pub mod identity;
pub mod log;
pub mod recorder;
pub mod wat;
