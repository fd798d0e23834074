"""An HTTP server that answers honestly, for a folder or for another server, until it turns hostile.

    python benchmarks/hostile_server.py UPSTREAM KIND FIRST

UPSTREAM is a folder or the address of a server; from request number FIRST on every answer is of the KIND. Prints its
port and serves until its standard input ends.
"""

import contextlib
import gzip
import itertools
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

KINDS = [
    "endless body",
    "longer than announced",
    "shorter than announced",
    "slow drip",
    "slow header",
    "endless pages",
    "redirect loop",
    "redirect to a file",
    "huge small file",
    "wrong content",
    "gzip bomb",
    "garbage JSON",
    "no answer",
]
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""
ZEROS = bytes(2**20)
PASSED_ON = ("content-type", "link", "location", "etag", "x-")
"""Beginnings of the names of headers that are passed on."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream, kind, first = "", "", 0
    numbers = itertools.count(1)

    def log_message(self, *words: object) -> None:
        pass

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        answer = self._honest(body)
        if next(self.numbers) < self.first:
            self._send(answer)
        else:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self._hostile(*answer)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve

    def _honest(self, body: bytes) -> Answer:
        if "://" not in self.upstream:
            file = Path(self.upstream) / self.path.lstrip("/").split("/", 1)[-1]
            return (200, {}, file.read_bytes()) if file.is_file() else (404, {}, b"")
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding")
        }
        given = Request(self.upstream + self.path, body or None, headers, method=self.command)
        try:
            with urlopen(given, timeout=60) as done:
                status, found, content = done.status, done.headers, done.read()
        except HTTPError as error:
            status, found, content = error.code, error.headers, error.read()
        passed = {name: value for name, value in found.items() if name.lower().startswith(PASSED_ON)}
        if self.command == "HEAD":
            passed["Content-Length"] = found.get("Content-Length", "0")
        return status, {name: value.replace(self.upstream, self._here()) for name, value in passed.items()}, content

    def _here(self) -> str:
        return f"http://{self.headers.get('Host')}"

    def _send(self, answer: Answer) -> None:
        status, headers, body = answer
        self._head(status, {"Content-Length": str(len(body)), **headers})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _hostile(self, status: int, headers: dict[str, str], body: bytes) -> None:
        kind, size = self.kind, len(body)
        moved = {"Content-Length": "0", "Location": f"{self._here()}/again/{random.getrandbits(32)}{self.path}"}
        if kind == "no answer":
            time.sleep(3600)
        elif kind == "slow header":
            for letter in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(ord("x"))):
                self.wfile.write(bytes([letter]))
                time.sleep(1)
        elif kind == "redirect loop":
            self._head(302, {**moved, "Location": f"{self._here()}{self.path}"})
        elif kind == "redirect to a file":
            self._head(302, {**moved, "Location": "file:///etc/hostname"})
        elif kind == "endless pages":
            page = f'<{self._here()}{self.path.split("&cursor")[0]}&cursor={random.getrandbits(32)}>; rel="next"'
            listed = b"api" in self.path.encode() and body[:1] == b"["
            self._send((200, {"Link": page}, body) if listed else (302, moved, b""))
        elif kind == "garbage JSON":
            self._send((200, headers, b'{"attributes": [[[{' + b"\xff{[" * (size // 3)))
        elif kind == "wrong content":
            self._send((status, headers, random.Random(size).randbytes(size)))
        elif kind == "gzip bomb":
            self._send((200, {**headers, "Content-Encoding": "gzip"}, gzip.compress(ZEROS * 64, 9) * 64))
        elif kind in ("endless body", "huge small file"):
            announced = {} if kind == "endless body" else {"Content-Length": str(10**13)}
            self._head(200, {**{name: value for name, value in headers.items() if "ength" not in name}, **announced})
            while True:
                self.wfile.write(ZEROS)
        elif kind == "slow drip":
            self._head(status, {"Content-Length": str(size), **headers})
            for letter in body:
                self.wfile.write(bytes([letter]))
                time.sleep(1)
        else:
            longer = kind == "longer than announced"
            self._head(status, {"Content-Length": str(size), **headers})
            self.wfile.write(body + ZEROS if longer else body[: size // 2])


def main() -> None:
    """See the top of the file."""
    _Handler.upstream, _Handler.kind, _Handler.first = sys.argv[1], sys.argv[2], int(sys.argv[3])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
