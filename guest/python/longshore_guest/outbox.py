"""Messages for other queues: sent if and only if the handler succeeds, before its own message is deleted.

The operator names the queues (`--outbox NAME=QUEUE-URL`). A component that imports this module needs one. A name that was
not granted, and more than may be sent for one message, end the attempt: there is no error to handle.
"""

from collections.abc import Mapping

from ._body import encode
from ._stage import IN_COMPONENT, Sent, current

if IN_COMPONENT:
    from wit_world.imports import outbox

__all__ = ["send"]


def send(name: str, body: object, properties: Mapping[str, str] | None = None) -> None:
    """Puts a message into the outbox: bytes and text as they are, and everything else as JSON, dataclasses included.

    Queues that have no properties drop them.
    """
    encoded, given = encode(body), dict(properties or {})
    # What is no UTF-8 raises here: the host could only end the handler.
    for text in (name, *given, *given.values()):
        text.encode()
    if IN_COMPONENT:
        outbox.send(name, encoded, list(given.items()))
    else:
        current.get().sent.append(Sent(name, encoded, given))
