//! The page: one screen that shows a queue, its executions and its poison messages, on loopback.
//!
//! It is rendered here, and shows nothing but text: `view` has one file for each part, `http`
//! is what answers a browser and whom it answers. [`Board`] holds what is shown, and
//! [`PageActions`] does what its buttons ask for.

mod actions;
mod board;
mod http;
mod poison;
mod snapshot;
mod text;
mod view;
mod work;

pub use actions::{ChosenPoison, PageActions, PoisonSweep, SweepCount, SweepVerb};
pub use board::{Board, PageNames, PageRights, Sample};
pub use http::{PageAddress, PageServer, SignIn};
