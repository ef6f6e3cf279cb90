"""A message, as it came from its queue."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Message:
    """A message, as it came from its queue. `wit/handler/handler.wit` in this package says what each field is."""

    id: str
    """The id that the queue gave it: the same at each delivery of one message."""
    queue: str
    """The queue's name."""
    body: bytes
    """The bytes that the sender meant."""
    dequeue_count: int
    """How often the message was received, this time included."""
    inserted: datetime
    """When it was put into the queue, by the queue's clock, in UTC."""
    deadline: timedelta
    """How long the handler has, from the start of the call."""
    properties: dict[str, str] = field(default_factory=dict)
    """What it carries beside its body; empty on queues that have no properties."""
