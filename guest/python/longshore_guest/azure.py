"""Microsoft's SDKs (`azure-storage-blob`, `azure-data-tables` and their like) in a handler, without a credential.

Import this module first, then the SDK, both at the top of a module:

>>> from longshore_guest import azure
>>> from azure.storage.blob import BlobClient
>>> blob = BlobClient.from_blob_url("https://acme.blob.core.windows.net/orders/1.json", **azure.client_options())
>>> blob.download_blob().readall()

The operator grants a service (`--http-identity acme.blob.core.windows.net/orders`). The host then adds the token of its
managed identity, and the handler never sees one. A client that insists on a credential takes `CREDENTIAL`: whatever it
signs, the host replaces.

What importing this module does, since the SDKs were written for machines with threads, sockets and files:

- `requests`, through which the SDKs send, goes over `wasi:http`; so `requests.get` works as well.
- `cryptography` is native code. A stand-in lets the SDKs import it; client-side encryption, which needs it, fails.
- `uuid.uuid1`, by which requests are numbered, draws its node: a component has no network card to ask.
"""

import codecs
import importlib.abc
import importlib.machinery
import io
import logging
import os
import platform
import sys
import types
import uuid
from urllib.parse import urlsplit

from . import http
from ._failure import Retry

__all__ = ["CREDENTIAL", "ERRORS", "NoCredential", "client_options", "failure"]


class _NativeOnly(types.ModuleType):
    """A module of which every name is a class that cannot be used."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> None:
            raise NotImplementedError(f"{self.__name__}.{name} is native code, which a component cannot load")

        return type(name, (), {"__init__": refuse})


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `cryptography`, also where one lies that is made for another machine."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] == "cryptography":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _NativeOnly(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to execute."""


def _node() -> int:
    # Drawn anew each time: what a module draws when it is imported is part of the component. The bit says that it was drawn
    # (RFC 9562, section 6.10).
    return int.from_bytes(os.urandom(6), "big") | 1 << 40


# A line for each request, with its headers.
logging.getLogger("azure").setLevel(logging.WARNING)

sys.meta_path.insert(0, _StandIns())
uuid.getnode = _node
# It is remembered from here on. To find it out takes files that a handler has not.
platform.platform()

import requests  # noqa: E402
import requests.adapters  # noqa: E402
import requests.sessions  # noqa: E402
import urllib3  # noqa: E402

# What the SDKs only import when they need it would not be there: a component is what was imported when it was built. A
# codec is a module as well.
for _name in ("utf-8", "utf-8-sig", "utf-16", "latin-1", "ascii", "idna"):
    codecs.lookup(_name)
import azure.core.pipeline.transport._requests_basic  # noqa: E402, F401
import azure.core.rest._requests_basic  # noqa: E402, F401
from azure.core.credentials import AccessToken, AccessTokenInfo  # noqa: E402
from azure.core.exceptions import AzureError, HttpResponseError  # noqa: E402


def _send(
    adapter: requests.adapters.HTTPAdapter,
    request: requests.PreparedRequest,
    stream: bool = False,
    timeout: object = None,
    verify: object = True,
    cert: object = None,
    proxies: object = None,
) -> requests.Response:
    """Stands for `HTTPAdapter.send`. TLS and proxies are the host's, and so is whom it trusts."""
    seconds = [it for it in (timeout if isinstance(timeout, tuple) else (timeout,)) if isinstance(it, (int, float))]
    try:
        got = http.send(
            request.method, request.url, request.body, headers=request.headers, timeout=max(seconds) if seconds else None
        )
    except http.RequestFailed as error:
        if error.refused:
            # Whatever the SDKs know as an error of theirs, they send again.
            raise
        raise requests.exceptions.ConnectionError(error, request=request) from None
    raw = urllib3.HTTPResponse(
        body=io.BufferedReader(got, 1 << 16),
        headers=got.headers,
        status=got.status,
        version=11,
        preload_content=False,
        request_method=request.method,
        request_url=urlsplit(request.url).path,
    )
    response = adapter.build_response(request, raw)
    # `requests` would guess, by the modules of a hundred encodings.
    response.encoding = response.encoding or "utf-8"
    if not stream:
        response.content  # noqa: B018: it is read here
    return response


requests.adapters.HTTPAdapter.send = _send
# It looks for a file with passwords.
requests.sessions.get_netrc_auth = lambda *_, **__: None


class NoCredential:
    """A credential for clients that insist on one. Its token is none: the host replaces it."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """A text that is no token."""
        return AccessToken("the-host-signs", 4_102_444_800)

    def get_token_info(self, *scopes: str, **_: object) -> AccessTokenInfo:
        """A text that is no token."""
        return AccessTokenInfo("the-host-signs", 4_102_444_800)


CREDENTIAL = NoCredential()
"""For clients that insist on a credential."""

ERRORS = (AzureError, http.RequestFailed)
"""What a call of the SDKs raises: `except azure.ERRORS as error`. The second stands for what the host refuses."""


def client_options() -> dict[str, object]:
    """Keyword arguments for any client of the SDKs: a request is sent three times at most, with pauses of seconds.

    The SDKs' own pauses begin with 15 s, and a handler has 30 s. A message that is retried waits in its queue at no cost.
    """
    return {
        "retry_total": 2,
        # As `azure-storage-blob` names them, in seconds.
        "initial_backoff": 1,
        "increment_base": 2,
        "random_jitter_range": 1,
        # As everything else does.
        "retry_backoff_factor": 0.5,
    }


def failure(what: str, error: "AzureError | http.RequestFailed") -> Retry:
    """Raise it: the retry that an error of the SDKs asks for.

    The reason says `what` failed, and why: the status and the service's own code, or what happened to the connection. It
    holds nothing of a body.
    """
    if isinstance(error, HttpResponseError):
        code = getattr(error, "error_code", None) or error.reason
        return Retry(f"{what}: {error.status_code} {getattr(code, 'value', code)}")
    return Retry(f"{what}: {error}")
