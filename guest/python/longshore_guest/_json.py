"""A body as typed JSON, and what to say of one that does not fit.

Reasons are logged, so they are made of field paths and kinds, never of values.
"""

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable

from ._failure import Reject

Reader = Callable[[object], object]

# Field names come from the body where a type has maps, hence a limit, in characters.
_MAX_PATH = 200


class _Mismatch(Exception):
    """A value that does not fit: where, from the inside out, and why."""

    def __init__(self, cause: str, *path: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.path = list(path)


def parse(body: bytes, read: Reader) -> object:
    """Reads a body; rejects what is not JSON or does not fit."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_not_json)
    except UnicodeDecodeError as error:
        raise Reject(f"body: not UTF-8: invalid byte at offset {error.start}") from None
    except RecursionError:
        raise Reject("body: nested too deep") from None
    except ValueError as error:
        if not body.strip():
            raise Reject("body: empty") from None
        place = f": at line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Reject(f"body: not JSON{place}") from None
    try:
        return read(value)
    except _Mismatch as mismatch:
        path = "".join(reversed(mismatch.path)).removeprefix(".") or "body"
        if len(path) > _MAX_PATH:
            path = f"{path[:_MAX_PATH]}…"
        raise Reject(f"{path}: {mismatch.cause}") from None


def reader(of: object) -> Reader:
    """What reads a value of that type. Raises `TypeError` for a type that it does not know."""
    return _reader(of, {})


def _reader(of: object, known: dict[type, Reader]) -> Reader:
    if of in (typing.Any, object):
        return lambda value: value
    if of in (None, type(None)):
        return _exactly(type(None))
    if of is float:
        return _float
    if of in (str, int, bool, list, dict):
        return _exactly(typing.cast(type, of))
    if isinstance(of, typing.NewType):
        return _reader(of.__supertype__, known)
    origin, arguments = typing.get_origin(of), typing.get_args(of)
    if origin is typing.Annotated:
        return _reader(arguments[0], known)
    if origin is list:
        return _list(_reader(arguments[0], known))
    if origin is dict and arguments[0] is str:
        return _dict(_reader(arguments[1], known))
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is ...:
            elements = _list(_reader(arguments[0], known))
            return lambda value: tuple(elements(value))  # type: ignore[call-overload]
        return _tuple([_reader(it, known) for it in arguments])
    if origin is typing.Literal:
        return _one_of({it: it for it in arguments})
    if origin in (typing.Union, types.UnionType):
        return _union([(_name(it), _reader(it, known)) for it in arguments])
    if isinstance(of, type):
        if issubclass(of, enum.Enum):
            return _one_of({it.value: it for it in of})
        if dataclasses.is_dataclass(of):
            return _dataclass(of, known)
        if hasattr(of, "fromisoformat"):
            return _iso(of)
    raise TypeError(f"a handler's body cannot be {of!r}: take bytes, a dataclass or another type that JSON can hold")


def _not_json(name: str) -> None:
    # Python reads NaN and Infinity, which are no JSON.
    raise ValueError(name)


def _name(of: object) -> str:
    return "None" if of is None or of is type(None) else getattr(of, "__name__", str(of))


def _mismatch(expected: str, value: object) -> _Mismatch:
    return _Mismatch(f"expected {expected}, got {_name(type(value))}")


def _exactly(of: type) -> Reader:
    def read(value: object) -> object:
        # By type, since True is an int.
        if type(value) is not of:
            raise _mismatch(_name(of), value)
        return value

    return read


def _float(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise _mismatch("float", value)
    try:
        return float(value)
    except OverflowError:
        raise _Mismatch("expected float, got another int") from None


def _list(read_element: Reader) -> Callable[[object], list]:
    def read(value: object) -> list:
        if type(value) is not list:
            raise _mismatch("list", value)
        place = 0
        try:
            elements = []
            for place, element in enumerate(value):
                elements.append(read_element(element))
            return elements
        except _Mismatch as mismatch:
            mismatch.path.append(f"[{place}]")
            raise

    return read


def _tuple(readers: list[Reader]) -> Reader:
    def read(value: object) -> tuple:
        if type(value) is not list:
            raise _mismatch("list", value)
        if len(value) != len(readers):
            raise _Mismatch(f"expected a list of {len(readers)}, got another length")
        place = 0
        try:
            elements = []
            for place, (read_element, element) in enumerate(zip(readers, value)):
                elements.append(read_element(element))
            return tuple(elements)
        except _Mismatch as mismatch:
            mismatch.path.append(f"[{place}]")
            raise

    return read


def _dict(read_element: Reader) -> Reader:
    def read(value: object) -> dict:
        if type(value) is not dict:
            raise _mismatch("dict", value)
        key = ""
        try:
            elements = {}
            for key, element in value.items():
                elements[key] = read_element(element)
            return elements
        except _Mismatch as mismatch:
            mismatch.path.append(f".{key}")
            raise

    return read


def _one_of(values: dict) -> Reader:
    allowed = ", ".join(str(it) for it in values)

    def read(value: object) -> object:
        for each, meant in values.items():
            if type(each) is type(value) and each == value:
                return meant
        raise _Mismatch(f"expected one of {allowed}, got {'another ' if type(value) is str else ''}{_name(type(value))}")

    return read


def _union(arms: list[tuple[str, Reader]]) -> Reader:
    expected = " or ".join(name for name, _ in arms)
    dataclass_arms = [read for name, read in arms if name != "None"]

    def read(value: object) -> object:
        deepest: _Mismatch | None = None
        for _, read_arm in arms:
            try:
                return read_arm(value)
            except _Mismatch as mismatch:
                if mismatch.path and (deepest is None or len(mismatch.path) > len(deepest.path)):
                    deepest = mismatch
        # Of `Item | None`, what is wrong within the item says more than that it is no item.
        if deepest is not None and len(dataclass_arms) == 1:
            raise deepest
        raise _mismatch(expected, value)

    return read


def _iso(of: type) -> Reader:
    def read(value: object) -> object:
        if type(value) is not str:
            raise _mismatch(of.__name__, value)
        try:
            return of.fromisoformat(value)  # type: ignore[attr-defined]
        except ValueError:
            raise _Mismatch(f"expected {of.__name__}, got another str") from None

    return read


def _dataclass(of: type, known: dict[type, Reader]) -> Reader:
    if of in known:
        return known[of]
    fields: list[tuple[str, bool, Reader]] = []

    def read(value: object) -> object:
        if type(value) is not dict:
            raise _mismatch(of.__name__, value)
        given = {}
        for name, optional, read_field in fields:
            if name in value:
                try:
                    given[name] = read_field(value[name])
                except _Mismatch as mismatch:
                    mismatch.path.append(f".{name}")
                    raise
            elif not optional:
                raise _Mismatch("missing field", f".{name}")
        try:
            return of(**given)
        except ValueError as error:
            raise _Mismatch(str(error)) from None

    # A type may hold itself.
    known[of] = read
    hints = typing.get_type_hints(of, include_extras=True)
    for it in dataclasses.fields(of):
        if it.init:
            optional = it.default is not dataclasses.MISSING or it.default_factory is not dataclasses.MISSING
            fields.append((it.name, optional, _reader(hints[it.name], known)))
    return read
