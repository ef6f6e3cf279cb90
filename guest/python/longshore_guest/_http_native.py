"""Requests over sockets, for tests."""

import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping

from ._http_failed import RequestFailed


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


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def send(
    method: str,
    url: str,
    body: "bytes | str | io.IOBase | Iterable[bytes] | None" = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Response:
    """Sends a request, and returns when the response is there. Raises `RequestFailed` when there is none."""
    if isinstance(body, str):
        body = body.encode()
    elif body is not None and not isinstance(body, bytes):
        body = body.read() if hasattr(body, "read") else b"".join(body)
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with _OPENER.open(request, timeout=timeout) as got:
            return _response(got)
    except urllib.error.HTTPError as error:
        with error:
            return _response(error)
    except OSError as error:
        raise RequestFailed(f"{method} {request.host}: {error}") from None


def _response(got) -> Response:
    headers = {name.lower(): value for name, value in got.headers.items()}
    return Response(got.status, headers, got.read())
