"""Why a message was not handled."""

import os
from datetime import timedelta
from types import TracebackType

# What is said of an exception is cut here, in characters. Its traceback in the log is not.
_MAX_REASON = 1_000
# The longest delay that is asked for, in seconds. The host cuts it further.
_MAX_DELAY = 1e9
# How many lines are logged of what a failure was raised from. An exception can be its own cause.
_MAX_CAUSES = 50


class Retry(Exception):
    """Raise it when another attempt may succeed.

    The host chooses the delay, unless it is named, in seconds. The reason is logged: no secret, nothing of the body.
    `raise Retry(…) from error` shows where the cause came from, without its words, at level DEBUG.
    """

    def __init__(self, reason: str, *, delay: "float | timedelta | None" = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay: float | None = delay.total_seconds() if isinstance(delay, timedelta) else delay


class Reject(Exception):
    """Raise it when no attempt will ever succeed: the message goes to the poison queue, with the reason.

    The reason is logged: no secret, nothing of the body.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def fit(text: object) -> str:
    """A text as the host takes it. JSON can name halves of characters, which no UTF-8 has: each becomes `�`."""
    said = str(text)
    try:
        said.encode()
    except UnicodeEncodeError:
        return "".join("�" if "\ud800" <= it <= "\udfff" else it for it in said)
    return said


def milliseconds(delay: float | None) -> int | None:
    """A delay as the contract has it. One that is no number is none."""
    return None if delay is None or delay != delay else round(min(max(delay, 0.0), _MAX_DELAY) * 1000)


def words(error: BaseException, folder: str) -> str:
    """An exception that nobody caught: `KeyError: 'cents' at prices.py:31 in price`.

    The place is the innermost one in `folder`, where the handler's own source lies: an exception from within a package
    says little about where to look.
    """
    try:
        said = " ".join(fit(error).split())
    except Exception:
        said = "its words cannot be read"
    said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if len(said) > _MAX_REASON:
        said = f"{said[:_MAX_REASON]}…"
    place = _place(error.__traceback__, folder)
    return f"{said} at {place}" if place else said


def _place(trace: TracebackType | None, folder: str) -> str | None:
    innermost = own = None
    while trace is not None:
        code = trace.tb_frame.f_code
        innermost = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"
        if code.co_filename.startswith(folder + os.sep) and "site-packages" not in code.co_filename:
            own = f"{code.co_filename[len(folder) + 1 :]}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    return own or innermost


def causes(error: BaseException) -> list[str]:
    """What a failure was raised from, as lines: types and places. What an exception says may quote a body."""
    lines: list[str] = []
    cause = error.__cause__
    while cause is not None and len(lines) < _MAX_CAUSES:
        lines.append(f"caused by {type(cause).__name__}")
        trace = cause.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            lines.append(f"    at {code.co_filename}:{trace.tb_lineno} in {code.co_name}")
            trace = trace.tb_next
        cause = cause.__cause__
    return lines[:_MAX_CAUSES]
