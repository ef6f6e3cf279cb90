"""A body as bytes: what is sent, what is kept for a session, and what a test hands to a handler."""

import dataclasses
import enum
import json


def encode(body: object) -> bytes:
    """Bytes and text as they are, and everything else as JSON, dataclasses included."""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytearray, memoryview)):
        return bytes(body)
    if isinstance(body, bytes):
        return body
    # As the packages for other languages write it.
    return json.dumps(body, default=plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def plain(value: object) -> object:
    """What JSON has in the place of a value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {it.name: getattr(value, it.name) for it in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
