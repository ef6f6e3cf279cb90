"""What handlers in Python share: outcomes here, HTTP in `http`, and Microsoft's SDKs in `azure`.

The package is source: put the folder `guest/python` on the path of `componentize-py` (`-p`). Its modules need a world
that exports `longshore:handler/handler@0.1.0`; `http` and `azure` need one that imports
`wasi:http/outgoing-handler@0.2.12` as well.
"""

from componentize_py_types import Err
from wit_world.exports.handler import Failure_Reject, Failure_Retry, Retry

__all__ = ["reject", "retry"]


def retry(reason: str, after_ms: int | None = None) -> Err:
    """Raise it when another attempt may succeed; the host chooses the delay, in milliseconds, unless it is named.

    The reason is logged: no secret, nothing of the body.
    """
    return Err(Failure_Retry(Retry(reason, after_ms)))


def reject(reason: str) -> Err:
    """Raise it when no attempt will ever succeed: the message goes to the poison queue, with the reason.

    The reason is logged: no secret, nothing of the body.
    """
    return Err(Failure_Reject(reason))
