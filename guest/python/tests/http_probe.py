"""A handler that calls the server whose URL is its message in each way that `longshore_guest.http` has. It rejects the message with
what it was answered: the host's tests compare it with what the server saw."""

import io
import json

from longshore_guest import Reject, handler, http


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
    raise Reject(json.dumps(said))
