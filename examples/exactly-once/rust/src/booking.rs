//! What a message says: a payment to book.

use longshore_guest::Failure;
use serde::Deserialize;

/// A payment. Other fields are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Payment {
    pub(crate) account: String,
    pub(crate) amount_cents: i32,
}

impl Payment {
    /// A key of a table has no `/`, `\`, `#` or `?`
    /// ([characters in keys](https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model)).
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !self.account.is_empty() && self.account.bytes().all(plain) {
            return Ok(());
        }
        Err(Failure::reject("account: expected letters, digits, `-`, `_` or `.`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_body_of_the_table_is_a_booking_or_is_rejected() {
        let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("../../cases.json")).unwrap();
        for case in &cases {
            let parsed: Result<Payment, _> = serde_json::from_str(case["body"].as_str().unwrap());
            let payment = parsed.ok().filter(|it| it.check().is_ok());
            let payment = payment
                .map(|it| serde_json::json!({ "account": it.account, "amount_cents": it.amount_cents }));
            assert_eq!(payment.as_ref(), case.get("booking"), "{}", case["name"]);
        }
    }
}
