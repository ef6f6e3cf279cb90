"""HTTP requests over `wasi:http`, which the host checks, and signs where the operator said so.

>>> from longshore_guest import http
>>> answer = http.get("https://api.example.com/rates?day=2026-11-26", headers={"accept": "application/json"})
>>> answer.status, answer.json()
>>> http.post("https://api.example.com/orders", b'{"id": 7}', headers={"content-type": "application/json"}).status

A response of any status is a response: look at `status`. `RequestFailed` is raised when there is none. Redirects are not
followed. Headers that are the connection's business (`host`, `connection` and their like) are the host's: they are
left out.

Natively (in tests) requests are real ones, over sockets, with the headers that a component's have. A component that imports this module imports `wasi:http`.
"""

from collections.abc import Mapping

from ._http_failed import RequestFailed
from ._http_request import Body
from ._stage import IN_COMPONENT

if IN_COMPONENT:
    from ._http_wasi import Response, send
else:
    from ._http_native import Response, send

__all__ = ["Body", "RequestFailed", "Response", "delete", "get", "head", "patch", "post", "put", "send"]


def get(url: str, *, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """GET: see `send`."""
    return send("GET", url, headers=headers, timeout=timeout)


def head(url: str, *, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """HEAD: see `send`."""
    return send("HEAD", url, headers=headers, timeout=timeout)


def delete(url: str, *, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """DELETE: see `send`."""
    return send("DELETE", url, headers=headers, timeout=timeout)


def post(url: str, body: Body = None, *, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """POST: see `send`."""
    return send("POST", url, body, headers=headers, timeout=timeout)


def put(url: str, body: Body = None, *, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """PUT: see `send`."""
    return send("PUT", url, body, headers=headers, timeout=timeout)


def patch(url: str, body: Body = None, *, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """PATCH: see `send`."""
    return send("PATCH", url, body, headers=headers, timeout=timeout)
