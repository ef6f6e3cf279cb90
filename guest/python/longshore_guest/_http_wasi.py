"""Requests over `wasi:http`."""

import io
import json
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler
from wit_world.imports import types as wasi
from wit_world.imports.streams import StreamError_Closed

from ._http_failed import RequestFailed

# Who names these is refused: the host sets them.
_OF_THE_CONNECTION = frozenset(
    ("connection", "expect", "host", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
_METHODS = {
    "GET": wasi.Method_Get,
    "HEAD": wasi.Method_Head,
    "POST": wasi.Method_Post,
    "PUT": wasi.Method_Put,
    "DELETE": wasi.Method_Delete,
    "OPTIONS": wasi.Method_Options,
    "PATCH": wasi.Method_Patch,
}
# A request with one of these says that its body is empty (RFC 9110, section 8.6).
_WITH_A_BODY = frozenset(("POST", "PUT", "PATCH"))
# How much of a response is asked for at a time, in bytes.
_CHUNK = 1 << 16
# The host refuses these, or the URL, and would again.
_REFUSED = (
    wasi.ErrorCode_HttpRequestDenied,
    wasi.ErrorCode_DestinationIpProhibited,
    wasi.ErrorCode_HttpRequestMethodInvalid,
    wasi.ErrorCode_HttpRequestUriInvalid,
)


class Response(io.RawIOBase):
    """A response: its `status`, its `headers` by names in small letters, and its body, as a file that can be read once."""

    def __init__(self, response: "wasi.IncomingResponse") -> None:
        self._stream = None
        self.status: int = response.status()
        self.headers: dict[str, str] = {}
        with response.headers() as fields:
            for name, value in fields.entries():
                text = value.decode("latin-1")
                name = name.lower()
                self.headers[name] = f"{self.headers[name]}, {text}" if name in self.headers else text
        self._response = response
        self._body = response.consume()
        self._stream = self._body.stream()

    def readable(self) -> bool:
        """A file that can be read."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:
        """Reads what is there next. `0` is the end."""
        chunk = self._next(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        """Reads all that is left."""
        return b"".join(iter(lambda: self._next(_CHUNK), b""))

    def _next(self, size: int) -> bytes:
        """What is there next, of at most this size. Nothing is the end."""
        while self._stream is not None and size:
            try:
                chunk = self._stream.blocking_read(size)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    break
                with error.value.value as cause:
                    raise RequestFailed(f"receiving: {cause.to_debug_string()}") from None
            if chunk:
                return chunk
        return b""

    def json(self) -> object:
        """What the body holds, as JSON."""
        return json.loads(self.read())

    def text(self) -> str:
        """What the body holds, as UTF-8."""
        return self.read().decode()

    def close(self) -> None:
        """Gives up what was not read."""
        if not self.closed and self._stream is not None:
            # Each belongs to the one after it, and has to go before it.
            for resource in (self._stream, self._body, self._response):
                resource.__exit__(None, None, None)
            self._stream = None
        super().close()


def send(
    method: str,
    url: str,
    body: "bytes | str | io.IOBase | Iterable[bytes] | None" = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Response:
    """Sends a request, and returns when the response's head is there.

    `body` is bytes, text, a file or an iterable of bytes. `timeout` is in seconds: for the connection, for the response
    and for each pause in it. Raises `RequestFailed` when there is no response.
    """
    where = urlsplit(url)
    who = f"{method} {where.netloc}"
    length, chunks = _chunks(body)
    fields = _fields(headers or {}, length, method)
    request = wasi.OutgoingRequest(fields)
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    try:
        request.set_method(_METHODS[method]() if method in _METHODS else wasi.Method_Other(method))
        request.set_scheme(wasi.Scheme_Http() if where.scheme == "http" else wasi.Scheme_Https())
        request.set_authority(where.netloc)
        request.set_path_with_query(path)
    except Err:
        raise RequestFailed(f"{who}: this is no request that can be sent", refused=True) from None
    outgoing = request.body()
    try:
        future = outgoing_handler.handle(request, _options(timeout))
    except Err as error:
        raise _failed(who, error.value) from None
    with future:
        broken = _write(outgoing, chunks)
        while (answer := future.get()) is None:
            with future.subscribe() as ready:
                ready.block()
        # A server may answer before it has read the body. Then its answer is what counts.
        if isinstance(answer, Ok) and isinstance(answer.value, Ok):
            return Response(answer.value.value)
        if isinstance(answer, Ok):
            raise _failed(who, answer.value.value)
        raise broken or RequestFailed(f"{who}: there is no response")


def _chunks(body) -> tuple[int | None, Iterable[bytes]]:
    """How long a body is, where that is known, and its parts."""
    if body is None:
        return 0, ()
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, (bytes, bytearray, memoryview)):
        return len(body), (bytes(body),)
    if hasattr(body, "read"):
        return None, iter(lambda: body.read(_CHUNK), b"")
    return None, body


def _fields(headers: Mapping[str, str], length: int | None, method: str) -> "wasi.Fields":
    pairs = [(name.lower(), str(value).encode("latin-1")) for name, value in headers.items()]
    pairs = [(name, value) for name, value in pairs if name not in _OF_THE_CONNECTION]
    says_itself = any(name == "content-length" for name, _ in pairs)
    if not says_itself and length is not None and (length or method in _WITH_A_BODY):
        pairs.append(("content-length", str(length).encode()))
    try:
        return wasi.Fields.from_list(pairs)
    except Err:
        raise RequestFailed("a header cannot be sent: its name or its value is none", refused=True) from None


def _options(timeout: float | None) -> "wasi.RequestOptions | None":
    if timeout is None:
        return None
    options = wasi.RequestOptions()
    nanoseconds = int(timeout * 1_000_000_000)
    options.set_connect_timeout(nanoseconds)
    options.set_first_byte_timeout(nanoseconds)
    options.set_between_bytes_timeout(nanoseconds)
    return options


def _write(outgoing: "wasi.OutgoingBody", chunks: Iterable[bytes]) -> RequestFailed | None:
    """Writes a body, and returns what went wrong, if it did."""
    try:
        with outgoing.write() as stream:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    room = stream.check_write()
                    if room:
                        stream.write(bytes(view[:room]))
                        view = view[room:]
                    else:
                        with stream.subscribe() as ready:
                            ready.block()
            stream.blocking_flush()
        wasi.OutgoingBody.finish(outgoing, None)
    except Err as error:
        outgoing.__exit__(None, None, None)
        return RequestFailed(f"sending: {type(error.value).__name__}")
    return None


def _failed(who: str, code: object) -> RequestFailed:
    if isinstance(code, wasi.ErrorCode_HttpRequestDenied):
        return RequestFailed(f"{who}: the host refuses it, and its log says why", refused=True)
    if isinstance(code, wasi.ErrorCode_DestinationIpProhibited):
        return RequestFailed(f"{who}: its address is not public: --allow-private grants it", refused=True)
    return RequestFailed(f"{who}: {type(code).__name__.removeprefix('ErrorCode_')}", refused=isinstance(code, _REFUSED))
