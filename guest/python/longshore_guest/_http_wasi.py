"""Requests over `wasi:http`."""

import io
import json
from collections.abc import Iterable, Mapping

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler
from wit_world.imports import types as wasi
from wit_world.imports.streams import StreamError_Closed

from ._http_failed import RequestFailed
from ._http_request import CHUNK, Body, joined, request

_METHODS = {
    "GET": wasi.Method_Get,
    "HEAD": wasi.Method_Head,
    "POST": wasi.Method_Post,
    "PUT": wasi.Method_Put,
    "DELETE": wasi.Method_Delete,
    "OPTIONS": wasi.Method_Options,
    "PATCH": wasi.Method_Patch,
}
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
        with response.headers() as fields:
            self.headers: dict[str, str] = joined((name, value.decode("latin-1")) for name, value in fields.entries())
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
        return b"".join(iter(lambda: self._next(CHUNK), b""))

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
    method: str, url: str, body: Body = None, *, headers: Mapping[str, str] | None = None, timeout: float | None = None
) -> Response:
    """Sends a request, and returns when the response's head is there.

    `body` is bytes, text, a file or an iterable of bytes. `timeout` is in seconds: for the connection, for the response
    and for each pause in it. Raises `RequestFailed` when there is no response, and `TypeError` for a body of another kind.
    """
    asked = request(method, url, body, headers)
    who = f"{method} {asked.url.netloc}"
    try:
        fields = wasi.Fields.from_list(asked.headers)
    except Err:
        raise RequestFailed(f"{who}: a header cannot be sent: its name or its value is none", refused=True) from None
    outgoing_request = wasi.OutgoingRequest(fields)
    try:
        outgoing_request.set_method(_METHODS[method]() if method in _METHODS else wasi.Method_Other(method))
        outgoing_request.set_scheme(wasi.Scheme_Http() if asked.url.scheme == "http" else wasi.Scheme_Https())
        outgoing_request.set_authority(asked.url.netloc)
        outgoing_request.set_path_with_query(asked.path)
    except Err:
        raise RequestFailed(f"{who}: this is no request that can be sent", refused=True) from None
    outgoing = outgoing_request.body()
    try:
        future = outgoing_handler.handle(outgoing_request, _options(timeout))
    except Err as error:
        raise _failed(who, error.value) from None
    with future:
        broken = _write(outgoing, asked.chunks)
        while (answer := future.get()) is None:
            with future.subscribe() as ready:
                ready.block()
        # A server may answer before it has read the body. Then its answer is what counts.
        if isinstance(answer, Ok) and isinstance(answer.value, Ok):
            return Response(answer.value.value)
        if isinstance(answer, Ok):
            raise _failed(who, answer.value.value)
        raise broken or RequestFailed(f"{who}: there is no response")


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
    except BaseException:
        # A part that is no bytes, or a file that cannot be read.
        outgoing.__exit__(None, None, None)
        raise
    return None


def _failed(who: str, code: object) -> RequestFailed:
    if isinstance(code, wasi.ErrorCode_HttpRequestDenied):
        return RequestFailed(f"{who}: the host refuses it, and its log says why", refused=True)
    if isinstance(code, wasi.ErrorCode_DestinationIpProhibited):
        return RequestFailed(f"{who}: its address is not public: --allow-private grants it", refused=True)
    return RequestFailed(f"{who}: {type(code).__name__.removeprefix('ErrorCode_')}", refused=isinstance(code, _REFUSED))
