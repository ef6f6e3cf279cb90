"""The decorator of a handler, and one attempt at a message."""

import inspect
import os
import typing
from collections.abc import Callable

from . import _json
from ._message import Message

Function = typing.TypeVar("Function", bound=Callable[..., None])

# What was decorated, in this process. A component has one.
registered: list["Registered"] = []


class Registered:
    """A function that was decorated, and what it takes."""

    def __init__(self, function: Callable[..., None]) -> None:
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} is asynchronous; a handler is an ordinary function")
        parameters = list(inspect.signature(function).parameters.values())
        if not 1 <= len(parameters) <= 2:
            raise TypeError(f"{function.__name__} takes {len(parameters)} parameters; a handler takes a body, and the message if it likes")
        self._function = function
        self._takes_message = len(parameters) == 2
        body = typing.get_type_hints(function).get(parameters[0].name, object)
        self._read = None if body is bytes else _json.reader(body)
        self.folder = os.path.dirname(function.__code__.co_filename)

    def call(self, message: Message) -> None:
        """Reads the body, and calls the function. Raises `Reject` for a body that does not fit."""
        body = message.body if self._read is None else _json.parse(message.body, self._read)
        if self._takes_message:
            self._function(body, message)
        else:
            self._function(body)


def handler(function: Function) -> Function:
    """Makes a function the component's handler. Once in a component.

    It takes the body, and the message if it likes. The type of the body says how it is read: `bytes` as it is, and
    everything else from JSON. These are: dataclasses, `str`, `int`, `float`, `bool`, `None`, `list[T]`, `dict[str, T]`,
    `tuple[…]`, `T | None` and other unions, `Literal`, enumerations, `datetime`, `date` and `time` in ISO 8601, and `Any`.

    A body that does not fit is rejected before the function is called, with a reason that names the field and the cause
    and holds nothing of the body: `items[0].qty: expected int, got str`. A `ValueError` of a dataclass's own
    `__post_init__` is a rejection as well, and its words are in the reason.

    The function returns (completed), or raises `Retry` or `Reject`. Any other exception is a retry. Its type, its words
    and its place are the reason, and its traceback is in the log: raise none that quotes a body.
    """
    registered.append(Registered(function))
    function.__longshore__ = registered[-1]  # type: ignore[attr-defined]
    return function
