"""Python's `logging`, as lines of the host's log."""

import logging
import os
import sys
from collections.abc import Iterator
from typing import Literal

from ._failure import fit
from ._stage import Line

Level = Literal["trace", "debug", "info", "warn", "error", "critical"]
_LEVELS: tuple[tuple[int, Level], ...] = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warn"),
    (logging.INFO, "info"),
    (logging.DEBUG, "debug"),
)

FORMAT = logging.Formatter("%(message)s")

# How much of a line the host is handed in one call, in characters. It takes 1 MiB, and writes several lines of it.
_LONGEST_PIECE = 1 << 16


def lines(record: logging.LogRecord) -> Iterator[Line]:
    """What the host is handed of a record: a line for each of its lines."""
    level: Level = next((level for number, level in _LEVELS if record.levelno >= number), "trace")
    context = "" if record.name == "root" else record.name
    for piece in pieces(FORMAT.format(record)):
        yield Line(level, piece, fit(context))


def pieces(text: str) -> Iterator[str]:
    """The lines of a text, as the host takes them. Very long ones are several."""
    for line in fit(text).splitlines():
        for start in range(0, max(len(line), 1), _LONGEST_PIECE):
            yield line[start : start + _LONGEST_PIECE]


def is_of_a_package(logger: str, folder: str) -> bool:
    """Whether a logger belongs to a package, and not to the handler, whose sources lie in `folder`.

    What packages say below INFO is left out: all lines of a message share one allowance, which the host counts before it
    looks at the level.
    """
    module = sys.modules.get(logger.partition(".")[0])
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    place = next((it for it in places if it), None)
    return place is not None and ("site-packages" in place or not place.startswith(folder + os.sep))
