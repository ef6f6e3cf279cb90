"""A handler that calls the server whose URL is its message in each way that `longshore_guest.http` has. It rejects the message with
what it was answered: the host's tests compare it with what the server saw. It logs at each level as well."""

import io
import json
import logging

import longshore_guest._log as of_a_package
from longshore_guest import Reject, handler, http

of_a_package_log = logging.getLogger(of_a_package.__name__)


@handler
def probe(body: bytes) -> None:
    base = body.decode()
    answers = [
        http.get(f"{base}/got?x=1", headers={"X-Of-Mine": "7", "Host": "elsewhere"}),
        http.post(f"{base}/posted", "text", timeout=10),
        http.put(f"{base}/put", io.BytesIO(b"file" * 50_000)),
        http.patch(f"{base}/patched", iter([b"in ", b"pieces"])),
        http.delete(f"{base}/deleted"),
        http.head(f"{base}/status/404"),
    ]
    said = [[answer.status, answer.text()] for answer in answers]
    try:
        http.get("https://never.granted.example/")
    except http.RequestFailed as error:
        said.append([error.refused, str(error)])
    try:
        http.post(base, [b"bytes", "text"])
    except TypeError as error:
        said.append(["TypeError", str(error)])
    logging.debug("a line of the handler's own")
    of_a_package_log.debug("a line of a package, below INFO")
    try:
        int(base)
    except ValueError as error:
        raise Reject(json.dumps(said)) from error
