//! What looks after queues that this program does not make and delete.

/// The commands of another program that look after queues, with `{owner}` and `{queue}` where their
/// names go.
#[derive(Debug)]
pub struct OtherTool {
    /// Lists the queues of an owner.
    pub list: &'static str,
    /// Deletes one queue.
    pub delete: &'static str,
}

impl OtherTool {
    /// The command that lists the queues of an owner.
    pub fn list_command(&self, owner: &str) -> String {
        self.list.replace("{owner}", owner)
    }

    /// The command that deletes a queue.
    pub fn delete_command(&self, owner: &str, queue: &str) -> String {
        self.delete.replace("{owner}", owner).replace("{queue}", queue)
    }
}
