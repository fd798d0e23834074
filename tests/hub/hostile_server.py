"""Servers that are broken or hostile: each kind is a way to answer a request badly.

`answer_badly(kind, handler, content, headers)` answers one request of any `http.server` handler; `HostileServer` serves
a folder and answers the requests for some of its files so. Nothing here needs pytest: a benchmark can import it.
"""

import functools
import itertools
import re
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = bytes(2**16)
MOST_BYTES, MOST_SECONDS = 2**30, 60.0
"""After which even a hostile server gives up: a client without limits fails its test and does not hang."""
DRIP_SECONDS = 0.02
"""Between two bytes of a slow answer."""
HUGE = 10 * 2**30

Handler = BaseHTTPRequestHandler
Headers = dict[str, str]


class Sent:
    """Bytes that hostile answers sent, in all."""

    num_bytes = 0


def _begin(handler: Handler, status: int, headers: Headers) -> None:
    handler.close_connection = True
    handler.send_response(status)
    for name, value in {**headers, "Connection": "close"}.items():
        handler.send_header(name, value)
    handler.end_headers()


def _write(handler: Handler, content: bytes) -> None:
    handler.wfile.write(content)
    Sent.num_bytes += len(content)


def _plain(handler: Handler, content: bytes, headers: Headers) -> None:
    _begin(handler, 200, {**headers, "Content-Length": str(len(content))})
    _write(handler, content)


def _pour(handler: Handler, headers: Headers) -> None:
    _begin(handler, 200, headers)
    for _ in range(MOST_BYTES // len(PIECE)):
        _write(handler, PIECE)


def _drip(handler: Handler, content: bytes, begin: Callable[[], None]) -> None:
    begin()
    ends = time.monotonic() + MOST_SECONDS
    for byte in itertools.cycle(content or b"x"):
        if time.monotonic() > ends:
            return
        _write(handler, bytes([byte]))
        handler.wfile.flush()
        time.sleep(DRIP_SECONDS)


def endless(handler: Handler, content: bytes, headers: Headers) -> None:
    """A body without an end and without a length."""
    _pour(handler, {name: value for name, value in headers.items() if name != "Content-Length"})


def longer(handler: Handler, content: bytes, headers: Headers) -> None:
    """A body longer than the file that was announced."""
    _plain(handler, content + bytes(2**24), headers)


def shorter(handler: Handler, content: bytes, headers: Headers) -> None:
    """Half of the file as if it were all."""
    _plain(handler, content[: len(content) // 2], headers)


def drip(handler: Handler, content: bytes, headers: Headers) -> None:
    """A byte now and then."""
    _drip(handler, content, lambda: _begin(handler, 200, {**headers, "Content-Length": str(HUGE)}))


def slow_header(handler: Handler, content: bytes, headers: Headers) -> None:
    """A header that grows by a byte now and then."""
    _drip(handler, b"x", lambda: _write(handler, b"HTTP/1.1 200 OK\r\nX-Slow: "))


def endless_pages(handler: Handler, content: bytes, headers: Headers) -> None:
    """A listing whose every page names a next one."""
    host, path = handler.headers["Host"], handler.path.split("&page=")[0]
    joint = "&" if "?" in path else "?x=1&"
    link = f'<http://{host}{path}{joint}page={time.monotonic_ns()}>; rel="next"'
    _plain(handler, content, {**headers, "Link": link})


def redirect_loop(handler: Handler, content: bytes, headers: Headers) -> None:
    """A redirect to the same address."""
    _begin(handler, 302, {"Location": handler.path, "Content-Length": "0"})


def redirect_to_a_file(handler: Handler, content: bytes, headers: Headers) -> None:
    """A redirect out of HTTP."""
    _begin(handler, 302, {"Location": "file:///etc/passwd", "Content-Length": "0"})


def huge(handler: Handler, content: bytes, headers: Headers) -> None:
    """A small file that is said to have gigabytes, and has them."""
    _pour(handler, {**headers, "Content-Length": str(HUGE)})


def wrong(handler: Handler, content: bytes, headers: Headers) -> None:
    """Other bytes, as many."""
    _plain(handler, bytes(byte ^ 255 for byte in content), headers)


def bomb(handler: Handler, content: bytes, headers: Headers) -> None:
    """A few bytes that decompress to very many."""
    _plain(handler, _compressed_zeros(), {**headers, "Content-Encoding": "gzip"})


def garbage(handler: Handler, content: bytes, headers: Headers) -> None:
    """Return bytes that begin like JSON and are none."""
    _plain(handler, b'{"attributes": ' + b"[" * 10_000, headers)


def silent(handler: Handler, content: bytes, headers: Headers) -> None:
    """No answer at all."""
    handler.close_connection = True
    time.sleep(MOST_SECONDS)


KINDS: dict[str, Callable[[Handler, bytes, Headers], None]] = {
    answer.__name__: answer
    for answer in (endless, longer, shorter, drip, slow_header, endless_pages, redirect_loop, redirect_to_a_file, huge,
                   wrong, bomb, garbage, silent)
}  # fmt: skip


@functools.cache
def _compressed_zeros() -> bytes:
    """256 MiB of zeros as gzip. One MiB is compressed and repeated: the client does not wait for the rest."""
    many, piece = 256, bytes(2**20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first, again = (deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    end = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS).flush()
    checksum = functools.reduce(lambda before, _: zlib.crc32(piece, before), range(many), 0)
    header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return header + first + again * (many - 1) + end + struct.pack("<II", checksum, many * len(piece))


def answer_badly(kind: str, handler: Handler, content: bytes, headers: Headers) -> None:
    """Answer one request; `content` and `headers` are what an honest server would send."""
    with suppress(OSError):  # the client has gone, as it should
        KINDS[kind](handler, content, headers)


class HostileServer:
    """Serves `folder`; requests for names that match `pattern` are answered badly, as `kind` says.

    Attributes:
        url: of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.kind, self.pattern = "", "$^"
        outer = self

        class FolderHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = folder / self.path.split("?")[0].lstrip("/")
                content = path.read_bytes() if path.is_file() else b""
                if outer.kind and re.search(outer.pattern, self.path):
                    answer_badly(outer.kind, self, content, {})
                elif path.is_file():
                    answer_well(self, content)
                else:
                    self.send_error(404)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), FolderHandler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop; answers that are under way end with the process."""
        self._server.shutdown()
        self._server.server_close()


def answer_well(handler: Handler, content: bytes) -> None:
    """The whole file."""
    _plain(handler, content, {})


@contextmanager
def serving_badly(folder: Path) -> Iterator[HostileServer]:
    """A hostile server for the time of a test."""
    server = HostileServer(folder)
    try:
        yield server
    finally:
        server.close()
