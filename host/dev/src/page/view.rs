//! What the page looks like: a file for each part. Each takes what it shows and returns markup.

mod answers;
mod cost;
mod depth;
mod executions;
mod frame;
mod log;
mod main;
mod marks;
mod messages;
mod poison;
mod timeline;
mod trouble;

pub(crate) use answers::{Question, answer, problem, question};
pub(crate) use executions::{execution, execution_list, execution_parts};
pub(crate) use frame::{OPEN_THE_LINK, sign_in};
pub(crate) use main::{main_page, parts};
pub(crate) use marks::Part;
pub(crate) use messages::{MessageSeen, ShownBody, body, message, message_list};
pub(crate) use poison::{group_key, poison_list};
