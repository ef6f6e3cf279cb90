"""What a request is, before it is sent: over `wasi:http` and, in tests, over sockets."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable
from urllib.parse import SplitResult, urlsplit

from ._http_failed import RequestFailed

# Who names these is refused: the host sets them.
_OF_THE_CONNECTION = frozenset(
    ("connection", "expect", "host", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
# A request with one of these says that its body is empty (RFC 9110, section 8.6).
_WITH_A_BODY = frozenset(("POST", "PUT", "PATCH"))
# How much of a file is read, and of a response asked for, at a time, in bytes.
CHUNK = 1 << 16


@runtime_checkable
class File(Protocol):
    """A file that is open in binary mode."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most this many. None are the end."""


Body = bytes | bytearray | memoryview | str | File | Iterable[bytes] | None
"""A body: bytes, text, a file or an iterable of bytes."""


class Request(NamedTuple):
    """A request that can be sent."""

    url: SplitResult
    path: str
    """With the query."""
    headers: list[tuple[str, bytes]]
    """Names in small letters, and `content-length` where it is known."""
    length: int | None
    """How long the body is, where that is known."""
    chunks: Iterable[bytes]
    """The parts of the body."""


def request(method: str, url: str, body: Body, headers: Mapping[str, str] | None) -> Request:
    """Checks a request. Raises `TypeError` for a body that is none, and `RequestFailed` for what cannot be sent."""
    length, chunks = _chunks(body)
    try:
        where = urlsplit(url)
        is_url = where.scheme in ("http", "https") and bool(where.hostname) and (where.port is None or where.port > 0)
        # What is neither is written in percent (RFC 3986, section 2.1).
        is_url = is_url and url.isascii() and url.isprintable() and " " not in url
        # What stands before an `@` is a password, and errors name the authority.
        is_url = is_url and "@" not in where.netloc
    except ValueError:
        is_url = False
    if not is_url:
        # The URL may hold a signature.
        raise RequestFailed(f"{method}: this is no URL that can be called: it begins with https:// and a host", refused=True)
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    return Request(where, path, _headers(headers or {}, length, method), length, chunks)


def _chunks(body: Body) -> tuple[int | None, Iterable[bytes]]:
    if body is None:
        return 0, ()
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, (bytes, bytearray, memoryview)):
        whole = bytes(body)
        return len(whole), (whole,)
    if isinstance(body, File):
        return None, _each_of_bytes(iter(partial(body.read, CHUNK), b""))
    if isinstance(body, Mapping) or not isinstance(body, Iterable):
        raise _no_body(body)
    if isinstance(body, (list, tuple)):
        # What can be looked at beforehand is.
        body = tuple(_each_of_bytes(body))
    return None, _each_of_bytes(body)


def _each_of_bytes(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise _no_body(chunk)
        yield bytes(chunk)


def _no_body(value: object) -> TypeError:
    kind = type(value).__name__
    return TypeError(f"a body is bytes, text, a file or an iterable of bytes, and this is {kind}: json.dumps makes text of a dict")


def _headers(headers: Mapping[str, str], length: int | None, method: str) -> list[tuple[str, bytes]]:
    try:
        pairs = [(name.lower(), str(value).encode("latin-1")) for name, value in headers.items()]
    except UnicodeEncodeError:
        raise RequestFailed(f"{method}: a header cannot be sent: its value is none", refused=True) from None
    pairs = [(name, value) for name, value in pairs if name not in _OF_THE_CONNECTION]
    says_itself = any(name == "content-length" for name, _ in pairs)
    if not says_itself and length is not None and (length or method in _WITH_A_BODY):
        pairs.append(("content-length", str(length).encode()))
    return pairs


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers of a response, by names in small letters. What was given twice is joined by a comma (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
