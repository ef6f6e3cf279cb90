"""What becomes of an order: its invoice."""

import json
import re

from longshore_guest import Reject


def _count(value: object, field: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise Reject(f"{field}: expected a whole number")
    return value


def _item(quantity: int, price_cents: int) -> dict[str, int]:
    return {"quantity": quantity, "price_cents": price_cents, "cost_cents": quantity * price_cents}


def of(order: bytes) -> dict[str, object]:
    """The invoice of an order, as its blob holds it: `{"order_id", "lines": [{"quantity", "price_cents"}]}`."""
    try:
        value = json.loads(order)
        order_id, lines = value["order_id"], value["lines"]
        items = [_item(_count(line["quantity"], "quantity"), _count(line["price_cents"], "price_cents")) for line in lines]
    except Reject:
        raise
    except (ValueError, TypeError, KeyError, RecursionError):
        # These errors quote what they found.
        raise Reject("the blob holds no order") from None
    if not isinstance(order_id, str):
        raise Reject("order_id: expected a string")
    return {"order_id": order_id, "lines": items, "total_cents": sum(item["cost_cents"] for item in items)}


def name(blob: object) -> str:
    """Where the invoice of an order goes: `incoming/o-1.json` becomes `invoices/o-1.json`."""
    plain = re.fullmatch(r"incoming/([A-Za-z0-9_.-]+)", blob) if isinstance(blob, str) else None
    if plain is None or not plain[1].strip("."):
        raise Reject("blob: expected a plain name below incoming/")
    return f"invoices/{plain[1]}"
