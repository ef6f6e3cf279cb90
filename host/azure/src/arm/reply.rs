//! What ARM answers.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arm::asked::Asked;
use crate::arm::error::ArmError;

/// One answer of ARM, of a status below 300.
#[derive(Debug)]
pub struct ArmReply {
    /// 200, or 202 while it is being done.
    pub status: u16,
    /// Where the result will be.
    pub location: Option<String>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
    /// The body; `null` if there is none.
    pub body: Value,
}

impl ArmReply {
    /// The body as what it should be.
    pub(crate) fn read<T: DeserializeOwned>(self, asked: &Asked<'_>) -> Result<T, ArmError> {
        serde_json::from_value(self.body).map_err(|error| asked.unreadable(&error.to_string()))
    }
}
