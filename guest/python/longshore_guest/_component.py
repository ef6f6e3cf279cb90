"""What the host calls: the other half of the decorator, in a component."""

import logging
import traceback
from datetime import datetime, timedelta, timezone

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import handler as contract
from wit_world.imports import logging as host

from . import _handler, _log
from ._failure import Reject, Retry, causes, fit, milliseconds, words
from ._message import Message

class _HostLog(logging.Handler):
    """Python's `logging`, into the host's log. The host says which levels it shows."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            for line in _log.lines(record):
                host.log(host.Level[line.level.upper()], line.context, line.text)
        except Exception:
            # As Python's own handlers have it: a record that cannot be formatted is no failure of what logs it.
            self.handleError(record)


def _the_only_handler() -> _handler.Registered:
    if len(_handler.registered) != 1:
        raise TypeError(f"a component has one function with @handler, and this one has {len(_handler.registered)}")
    return _handler.registered[0]


_registered = _the_only_handler()
# The handler's own lines go to the host at any level.
logging.basicConfig(handlers=[_HostLog()], level=logging.NOTSET, format="%(message)s")
for _name in list(logging.root.manager.loggerDict):
    if logging.getLogger(_name).level == logging.NOTSET and _log.is_of_a_package(_name, _registered.folder):
        logging.getLogger(_name).setLevel(logging.INFO)
# Of a record, only its words, its level and its logger reach the host: the rest need not be found out, once for each line.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False
logging._srcfile = None  # type: ignore[attr-defined]


class Handler(exports.Handler):
    """What the host calls, once for each message."""

    def handle(self, message: contract.Message) -> None:
        try:
            _registered.call(
                Message(
                    message.id,
                    message.queue,
                    message.body,
                    message.dequeue_count,
                    datetime.fromtimestamp(message.inserted / 1000, timezone.utc),
                    timedelta(milliseconds=message.deadline),
                    dict(message.properties),
                )
            )
        except Retry as retry:
            _log_causes(retry)
            raise Err(contract.Failure_Retry(contract.Retry(fit(retry.reason), milliseconds(retry.delay)))) from None
        except Reject as reject:
            _log_causes(reject)
            raise Err(contract.Failure_Reject(fit(reject.reason))) from None
        except Exception as error:
            for line in _log.pieces("".join(traceback.format_exception(error))):
                host.log(host.Level.ERROR, "", line)
            reason = words(error, _registered.folder)
            raise Err(contract.Failure_Retry(contract.Retry(reason, None))) from None


def _log_causes(failure: BaseException) -> None:
    for line in causes(failure):
        host.log(host.Level.DEBUG, "", fit(line))
