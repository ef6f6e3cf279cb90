"""What stands for the host natively: one attempt's settings, and its outbox."""

import sys
from contextvars import ContextVar
from dataclasses import dataclass, field

IN_COMPONENT = sys.platform == "wasi"


@dataclass(frozen=True)
class Sent:
    """A message for another queue."""

    outbox: str
    body: bytes
    properties: dict[str, str]


@dataclass
class Stage:
    """What one attempt is given, and what it leaves."""

    config: dict[str, str] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)


current: ContextVar[Stage] = ContextVar("current", default=Stage())
