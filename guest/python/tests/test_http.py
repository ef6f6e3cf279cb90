"""Requests of tests, to a server that keeps what it was sent. The host's tests compare those of a component in the same way."""

import io
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from longshore_guest import http
from longshore_guest._http_native import _MAX_WITH_LENGTH


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = b""
        if "transfer-encoding" in self.headers:
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.server.seen.append((self.requestline, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.path == "/broken":
            self.wfile.write(b"no HTTP\r\n\r\n")
            self.close_connection = True
            return
        self.send_response(302 if self.path == "/moved" else 200)
        for name, value in [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Location", "/"), ("Content-Length", "2")]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else b"{}")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_: object) -> None: ...


class Requests(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def sent(self) -> tuple[dict[str, str], bytes]:
        _, headers, body = self.server.seen[-1]
        headers.pop("host")
        return headers, body

    def test_a_request_has_the_headers_that_it_was_given_and_no_others(self):
        for body, length, whole in [
            (b"x", "1", b"x"),
            ("ä", "2", "ä".encode()),
            (bytearray(b"x"), "1", b"x"),
            (io.BytesIO(b"x" * 100_000), "100000", b"x" * 100_000),
            ([b"in ", b"pieces"], "9", b"in pieces"),
            (None, "0", b""),
        ]:
            http.post(f"{self.base}/?a=1", body, headers={"X-Of-Mine": "7", "Host": "elsewhere", "Connection": "upgrade"})
            self.assertEqual(self.sent(), ({"x-of-mine": "7", "content-length": length}, whole))
            self.assertEqual(self.server.seen[-1][0], "POST /?a=1 HTTP/1.1")
        http.get(self.base)
        self.assertEqual(self.sent(), ({}, b""))

    def test_a_large_body_of_unknown_length_goes_in_chunks(self):
        whole = b"x" * (_MAX_WITH_LENGTH + 1)
        http.put(self.base, iter([whole]))
        self.assertEqual(self.sent(), ({"transfer-encoding": "chunked"}, whole))

    def test_headers_that_were_given_twice_are_joined_and_redirects_are_not_followed(self):
        answer = http.get(f"{self.base}/moved")
        self.assertEqual((answer.status, answer.headers["set-cookie"], answer.json()), (302, "a=1, b=2", {}))
        self.assertEqual(len(self.server.seen), 1)

    def test_a_body_of_another_kind_is_a_mistake_before_anything_is_sent(self):
        for body, kind in [({"a": 1}, "dict"), (7, "int"), (["text"], "str"), (io.StringIO("text"), "str")]:
            with self.assertRaisesRegex(TypeError, f"and this is {kind}: json.dumps makes text of a dict"):
                http.post(self.base, body)  # type: ignore[arg-type]
        self.assertEqual(self.server.seen, [])

    def test_whatever_keeps_a_response_from_coming_is_one_error(self):
        for url, refused in [
            (f"{self.base}/broken", False),
            ("http://127.0.0.1:1/", False),
            (f"{self.base}/secret b", True),
            ("ftp://127.0.0.1/secret", True),
            ("/secret", True),
            ("https://secret:port/", True),
            ("https://a:secret@127.0.0.1:1/", True),
        ]:
            with self.subTest(url), self.assertRaises(http.RequestFailed) as failed:
                http.get(url)
            self.assertEqual(failed.exception.refused, refused)
            self.assertNotIn("secret", str(failed.exception))
        with self.assertRaises(http.RequestFailed) as failed:
            http.get(self.base, headers={"x-name": "→"})
        self.assertTrue(failed.exception.refused)


if __name__ == "__main__":
    unittest.main()
