//! Service Bus queues, against a broker of the tests' own (`broker/`), which the official clients
//! of two other languages judge in the same run: where it is wrong, they say so.
//!
//! `make services-installed` installs what these tests need.

mod amqp;
pub mod broker;
mod connections;
mod entity;
mod faults;
pub mod host;
mod hostile;
mod judges;
mod links;
mod many;
mod queue;
mod redrive;
mod session_links;
mod session_looks;
mod session_order;
mod session_state;
mod sessions;
mod topics;
mod traces;
mod trips;
mod trouble;
mod verify;
mod whole_loop;
