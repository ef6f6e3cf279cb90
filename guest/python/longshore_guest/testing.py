"""A test kit: one attempt at one message, natively, with settings, and with an outbox that can be looked into.

>>> from longshore_guest.testing import invoke
>>> outcome = invoke(handle, {"order_id": "o-1", "qty": 2}, config={"currency": "EUR"})
>>> outcome.name, outcome.sent[0].outbox, outcome.sent[0].json()
('completed', 'invoices', {'order_id': 'o-1', 'currency': 'EUR'})
>>> invoke(handle, {"order_id": "o-1", "qty": "two"}).reason
'qty: expected int, got str'

What the kit does not do: the deadline, the limits, refusing what nobody granted, and what a component has not (threads,
sockets, files, native packages). `longshore invoke` does all of that, with the real component.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from . import _body, _handler, _log
from ._failure import Reject, Retry, fit, words
from ._message import Message
from ._stage import Line, Sent, SessionStage, Stage, current

__all__ = ["Line", "Outcome", "Sent", "invoke", "message"]


@dataclass(frozen=True)
class Outcome:
    """What became of an attempt."""

    name: Literal["completed", "retry", "rejected"]
    """What the host makes of it, as `longshore invoke` says it."""
    reason: str = ""
    """Why a message was not handled: what goes into the log and, in the end, into the poison queue."""
    delay: float | None = None
    """Of a retry: the delay that was asked for, in seconds."""
    sent: tuple[Sent, ...] = ()
    """What the host would send now. A handler that fails sends nothing."""
    session_state: bytes | None = None
    """The state of the message's session now. A handler that fails leaves it as it was."""
    log: tuple[Line, ...] = ()
    """What was logged with `logging`. `print` is not among it."""
    error: BaseException | None = None
    """The exception that ended the attempt."""


def message(body: object = b"", **fields: object) -> Message:
    """A message with this body, received for the first time. Fields that are named replace the defaults.

    Bytes and text are the body as they are; everything else is written as JSON.
    """
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body, default=_body.plain).encode()
    plain = Message(
        id="test-message",
        queue="orders",
        body=body,
        dequeue_count=1,
        inserted=datetime(2026, 1, 1, tzinfo=timezone.utc),
        deadline=timedelta(seconds=30),
    )
    return dataclasses.replace(plain, **fields)  # type: ignore[arg-type]


def invoke(
    handle: Callable[..., None],
    body: object = b"",
    *,
    config: Mapping[str, str] | None = None,
    session_id: str | None = None,
    session_state: bytes | None = None,
    **fields: object,
) -> Outcome:
    """Hands one message to a function that is decorated with `handler`, as the host would.

    `body` and `fields` are those of `message`. `config` grants settings; there are no others. `session_id` puts the message
    into a session, which has this state.
    """
    registered = getattr(handle, "__longshore__", None)
    if not isinstance(registered, _handler.Registered):
        raise TypeError(f"{getattr(handle, '__name__', repr(handle))} is no handler: decorate it with @handler")
    given = body if isinstance(body, Message) else message(body, **fields)
    stage = Stage(config=dict(config or {}))
    if session_id is not None:
        given = dataclasses.replace(given, properties={"session-id": session_id, **given.properties})
        stage.session = SessionStage(session_state)
    token = current.set(stage)
    root, kept = logging.getLogger(), _Kept(registered.folder)
    level = root.level
    root.addHandler(kept)
    # As in a component, where the host says what is shown.
    root.setLevel(logging.NOTSET)
    try:
        ended = _attempt(registered, given, stage)
    finally:
        root.setLevel(level)
        root.removeHandler(kept)
        current.reset(token)
    kept_state = session_state
    if ended.name == "completed" and stage.session is not None:
        kept_state = stage.session.state
    return dataclasses.replace(ended, session_state=kept_state, log=tuple(stage.log))


class _Kept(logging.Handler):
    """Keeps what is logged in the attempt that logs it: others may run in threads beside it."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.INFO or not _log.is_of_a_package(record.name, self._folder):
            try:
                current.get().log.extend(_log.lines(record))
            except Exception:
                self.handleError(record)


def _attempt(registered: _handler.Registered, given: Message, stage: Stage) -> Outcome:
    try:
        registered.call(given)
    except Retry as retry:
        return Outcome("retry", fit(retry.reason), retry.delay, error=retry)
    except Reject as reject:
        return Outcome("rejected", fit(reject.reason), error=reject)
    except Exception as error:
        return Outcome("retry", words(error, registered.folder), error=error)
    return Outcome("completed", sent=tuple(stage.sent))
