//! What was asked of ARM, for errors.

/// What is asked of ARM: how an error names it, the action that a role has to allow, and the least
/// built-in role that does ([Azure built-in roles for
/// containers](https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/containers)).
#[derive(Clone, Copy, Debug)]
pub struct ArmOperation {
    /// As in "cannot …".
    pub verb: &'static str,
    /// As `Microsoft.App/jobs/read`.
    pub action: &'static str,
    /// As `Reader`.
    pub role: &'static str,
    /// What shows the things that there are, where the one that was named is not.
    pub there_is: &'static str,
}

/// What was asked, and of what: for errors.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What was asked.
    pub operation: ArmOperation,
    /// Of what: a resource id.
    pub of: &'a str,
}
