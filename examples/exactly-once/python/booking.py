"""What a message says: a payment to book."""

import json
import re
from dataclasses import dataclass


class NoPayment(ValueError):
    """The message is at fault. What it says is logged: it names fields, and holds no values."""


@dataclass(frozen=True)
class Payment:
    """A payment: `{"account": "c-7", "amount_cents": 250}`. Other fields are ignored."""

    account: str
    amount_cents: int

    @classmethod
    def parse(cls, body: bytes) -> "Payment":
        """Reads a body."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise NoPayment("the body is no JSON") from None
        if not isinstance(value, dict):
            raise NoPayment("the body is no object")
        account, amount = value.get("account"), value.get("amount_cents")
        # A key of a table has no `/`, `\`, `#` or `?`.
        if not isinstance(account, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", account):
            raise NoPayment("account: expected letters, digits, `-`, `_` or `.`")
        if type(amount) is not int or not -(1 << 31) <= amount < 1 << 31:
            raise NoPayment("amount_cents: expected a whole number of 32 bits")
        return cls(account, amount)
