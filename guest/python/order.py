"""The example handler in Python: what becomes of an order is what its text says. See the README."""

import json
import re
import time
from dataclasses import dataclass, fields

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.handler import Failure_Reject, Failure_Retry, Message, Retry
from wit_world.imports import logging, session

KINDS = {type(None): "null", bool: "boolean", int: "integer", float: "floating point", str: "string", list: "sequence", dict: "map"}


def retry(reason: str, after_ms: int | None = None) -> Err:
    """Another attempt may succeed."""
    return Err(Failure_Retry(Retry(reason, after_ms)))


def reject(reason: str) -> Err:
    """No attempt ever will."""
    return Err(Failure_Reject(reason))


@dataclass(frozen=True)
class OrderEvent:
    """An order event, as JSON: `{"order_id": "o-1", "msg": "ok"}`. Other fields are ignored."""

    order_id: str
    msg: str

    @classmethod
    def parse(cls, body: bytes) -> "OrderEvent":
        """Reads a body. What does not fit is rejected by the field's name and its kind: reasons are logged, values are not."""
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=_not_json)
        except UnicodeDecodeError as error:
            raise reject(f"body: not UTF-8: invalid byte at offset {error.start}") from None
        except RecursionError:
            raise reject("body: nested too deep") from None
        except ValueError as error:
            place = f" at line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise reject(f"body: not JSON{place}") from None
        if not isinstance(value, dict):
            raise reject(f"body: expected struct OrderEvent, got {KINDS[type(value)]}")
        for field in fields(cls):
            if field.name not in value:
                raise reject(f"{field.name}: missing field")
            if not isinstance(value[field.name], str):
                raise reject(f"{field.name}: expected a string, got {KINDS[type(value[field.name])]}")
        if not value["order_id"]:
            raise reject("order_id: must not be empty")
        return cls(value["order_id"], value["msg"])


def _not_json(name: str) -> None:
    # Python reads NaN and Infinity, which are no JSON.
    raise ValueError(name)


def number(argument: str) -> int:
    text = argument.strip()
    if not re.fullmatch(r"\+?[0-9]+", text, re.ASCII) or int(text) >= 1 << 64:
        raise reject("msg: expected a whole number after the colon")
    return int(text)


def stored() -> bytes | None:
    """The state of the order's session."""
    try:
        return session.get_state()
    except Err as error:
        raise retry(error.value.value) from None


def keep(state: bytes | None) -> None:
    try:
        session.set_state(state)
    except Err as error:
        raise retry(error.value.value) from None


class Handler(exports.Handler):
    """What the host calls, once for each message."""

    def handle(self, message: Message) -> None:
        order = OrderEvent.parse(message.body)
        wish, _, argument = order.msg.partition(":")
        match wish:
            case "retry":
                raise retry("the order asks for a retry")
            case "retry-after":
                raise retry("the order asks for a retry", after_ms=number(argument))
            case "retry-until" if message.dequeue_count < number(argument):
                raise retry("the order asks for more attempts")
            case "reject":
                raise reject("the order asks for a rejection")
            case "trap":
                raise RuntimeError("the order asks for a trap")
            case "sleep":
                time.sleep(number(argument) / 1000)
            case "spin":
                while True:
                    pass
            case "alloc":
                kept = []
                while True:
                    kept.append(bytearray(1 << 20))
            case "append" | "append-late" | "append-then-retry":
                if wish == "append-late":
                    time.sleep(3)
                keep((stored() or b"") + argument.encode())
                if wish == "append-then-retry" and message.dequeue_count == 1:
                    raise retry("the order asks for a retry")
            case "forget":
                keep(None)
            case "fill":
                keep(b"x" * number(argument))
            case "expect" if stored() != argument.encode():
                raise reject("msg: the state of the session is another")
        logging.log(logging.Level.INFO, "", f"handled order {order.order_id}")
