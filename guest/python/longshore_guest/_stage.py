"""What stands for the host natively: one attempt's settings, its session, its outbox and its log."""

import json
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

IN_COMPONENT = sys.platform == "wasi"


@dataclass(frozen=True)
class Sent:
    """A message for another queue."""

    outbox: str
    body: bytes
    properties: dict[str, str]

    def text(self) -> str:
        """The body as text. Bytes that are no UTF-8 are shown as `�`."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Line:
    """A line of the log."""

    level: Literal["trace", "debug", "info", "warn", "error", "critical"]
    text: str
    context: str
    """The name of the logger. That of the root logger is empty."""


@dataclass
class SessionStage:
    """The state of the message's session."""

    state: bytes | None


@dataclass
class Stage:
    """What one attempt is given, and what it leaves."""

    config: dict[str, str] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    log: list[Line] = field(default_factory=list)
    session: SessionStage | None = None


current: ContextVar[Stage] = ContextVar("current", default=Stage())
