"""The state of a session: some bytes that stay from one of its messages to the next.

Queues and subscriptions of Service Bus may require sessions. The messages of one come one after the other and in order, and
its id is `message.properties["session-id"]`.

A state is set if and only if the handler succeeds: after its messages were sent, and before its own message is deleted. More
than 250 KiB end the attempt.

>>> from longshore_guest import Message, handler, session
>>>
>>> @handler
... def count(body: bytes, message: Message) -> None:
...     seen = session.state_json(0)
...     session.set_state(seen + 1)
"""

import json
from typing import Any

from ._body import encode
from ._failure import Retry
from ._stage import IN_COMPONENT, SessionStage, current

if IN_COMPONENT:
    from componentize_py_types import Err
    from wit_world.imports import session as _host

__all__ = ["NoSession", "clear_state", "set_state", "state", "state_json"]


class NoSession(Retry):
    """The message belongs to no session, since its queue has none. Not caught, it is a retry."""


def state() -> bytes | None:
    """The state of the message's session; `None` if nobody has set one. Raises `NoSession`."""
    if IN_COMPONENT:
        try:
            return _host.get_state()
        except Err as error:
            raise NoSession(error.value.value) from None
    return _stage_session().state


def state_json(default: Any = None) -> Any:
    """The same from JSON, or the default if nobody has set one. Raises `Retry` for what is no JSON: no message is at fault."""
    kept = state()
    if kept is None:
        return default
    try:
        return json.loads(kept)
    except ValueError:
        # Its words may quote the state.
        raise Retry("the state of the session is not what was expected") from None


def set_state(state: object) -> None:
    """Sets the state of the message's session: bytes and text as they are, and everything else as JSON, `None` included.

    Raises `NoSession`."""
    _set(encode(state))


def clear_state() -> None:
    """From now on there is no state any more. Raises `NoSession`."""
    _set(None)


def _set(state: bytes | None) -> None:
    if IN_COMPONENT:
        try:
            _host.set_state(state)
        except Err as error:
            raise NoSession(error.value.value) from None
    else:
        _stage_session().state = state


def _stage_session() -> SessionStage:
    session = current.get().session
    if session is None:
        raise NoSession("the message belongs to no session: the test gives it one with `session_id`")
    return session
