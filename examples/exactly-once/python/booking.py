"""What a message says: a payment to book."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Payment:
    """A payment: `{"account": "c-7", "amount_cents": 250}`. Other fields are ignored."""

    account: str
    amount_cents: int

    def __post_init__(self) -> None:
        # A key of a table has no `/`, `\`, `#` or `?`.
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", self.account):
            raise ValueError("account must have letters, digits, `-`, `_` and `.` only")
        if not -(1 << 31) <= self.amount_cents < 1 << 31:
            raise ValueError("amount_cents must be a whole number of 32 bits")
