"""Messages for other queues: sent if and only if the handler succeeds, before its own message is deleted.

The operator names the queues (`--outbox NAME=QUEUE-URL`). A component that imports this module needs one. A name that was
not granted, and more than may be sent for one message, end the attempt: there is no error to handle.
"""

import dataclasses
import enum
import json
from collections.abc import Mapping

from ._stage import IN_COMPONENT, Sent, current

if IN_COMPONENT:
    from wit_world.imports import outbox

__all__ = ["send"]


def send(name: str, body: object, properties: Mapping[str, str] | None = None) -> None:
    """Puts a message into the outbox: bytes and text as they are, and everything else as JSON, dataclasses included.

    Queues that have no properties drop them.
    """
    if isinstance(body, str):
        body = body.encode()
    elif isinstance(body, (bytearray, memoryview)):
        body = bytes(body)
    elif not isinstance(body, bytes):
        # As the packages for other languages write it.
        body = json.dumps(body, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if IN_COMPONENT:
        outbox.send(name, body, list((properties or {}).items()))
    else:
        current.get().sent.append(Sent(name, body, dict(properties or {})))


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {it.name: getattr(value, it.name) for it in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
