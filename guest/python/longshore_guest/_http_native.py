"""Requests over sockets, for tests. They have the headers that the component's have, and no others."""

import http.client
import io
import json
from collections.abc import Mapping

from ._http_failed import RequestFailed
from ._http_request import Body, joined, request

# The host sends a body that is finished before it is sent with its length, up to this many bytes. Others go in chunks.
_MAX_WITH_LENGTH = 1 << 20


class Response(io.BytesIO):
    """A response: its `status`, its `headers` by names in small letters, and its body, as a file."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(body)
        self.status = status
        self.headers = headers

    def json(self) -> object:
        """What the body holds, as JSON."""
        return json.loads(self.read())

    def text(self) -> str:
        """What the body holds, as UTF-8."""
        return self.read().decode()


def send(
    method: str, url: str, body: Body = None, *, headers: Mapping[str, str] | None = None, timeout: float | None = None
) -> Response:
    """Sends a request, and returns when the response is there. Raises `RequestFailed` when there is none."""
    asked = request(method, url, body, headers)
    whole = b"".join(asked.chunks)
    kind = http.client.HTTPSConnection if asked.url.scheme == "https" else http.client.HTTPConnection
    connection = kind(asked.url.hostname or "", asked.url.port, timeout=timeout)
    try:
        connection.putrequest(method, asked.path, skip_accept_encoding=True)
        for name, value in asked.headers:
            connection.putheader(name, value)
        in_chunks = asked.length is None and len(whole) > _MAX_WITH_LENGTH
        if in_chunks:
            connection.putheader("transfer-encoding", "chunked")
        elif asked.length is None and all(name != "content-length" for name, _ in asked.headers):
            connection.putheader("content-length", str(len(whole)))
        connection.endheaders(whole or None, encode_chunked=in_chunks)
        got = connection.getresponse()
        return Response(got.status, joined(got.getheaders()), got.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RequestFailed(f"{method} {asked.url.netloc}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
