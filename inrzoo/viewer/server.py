"""Serves the page and the files of a store to browsers on this machine."""

from __future__ import annotations

import errno
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import unquote, urlsplit

from inrzoo.errors import InrzooError
from inrzoo.store import Store
from inrzoo.viewer.settings import require_finished
from inrzoo.viewer.site import STORE_FOLDER, page_address, page_files, store_files

HOST = "127.0.0.1"
OWN_NAMES = (HOST, "localhost")
"""Names by which a browser on this machine asks. Another name in a request is that of a page elsewhere."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
PIECE_BYTES = 2**18
"""Bytes that are read and sent at once."""


def make_server(store: Store, port: int = 0, link: str | None = None) -> ThreadingHTTPServer:
    """Bind a server of the page to a port of this machine; `serve_forever` runs it, `server_close` ends it.

    Args:
        store: a finished store.
        port: from 1 to 65535; 0 takes a free one, `server_port` says which.
        link: URL at which browsers read the store, where its place is none.

    Raises:
        InrzooError: the store is not finished or cannot be read by browsers, or the port is taken or not allowed.
    """
    require_finished(store)
    if not 0 <= port < 2**16:
        raise InrzooError(f"--port {port} is not allowed; expected 1 to 65535, or 0 for a free one")
    address = page_address(store, link)
    is_local = address == f"{STORE_FOLDER}/"

    class Handler(PageHandler):
        pages = page_files(store, address)
        files: ClassVar[dict[str, Path]] = (
            {name: Path(store.location) / name for name in store_files(store)} if is_local else {}
        )

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InrzooError(f"port {port} is in use; give another --port, or none for a free one") from None
        if error.errno == errno.EACCES:
            raise InrzooError(f"port {port} needs more permissions; give a --port above 1023") from None
        raise


class PageHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, whole files or one range of bytes, of known files alone.

    Attributes:
        pages: contents of the page's files by name.
        files: files of the store by their name in it.
    """

    pages: ClassVar[dict[str, bytes]]
    files: ClassVar[dict[str, Path]]
    protocol_version = "HTTP/1.1"  # one connection for many requests

    def do_GET(self) -> None:
        """Send a file or a range of it."""
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        """Send the headers of a file."""
        self._answer(with_content=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: a page of INRs is hundreds of requests."""

    def _answer(self, with_content: bool) -> None:
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in OWN_NAMES:
            self.send_error(HTTPStatus.FORBIDDEN, "this server is for this machine alone")
            return
        name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        opened = self._open(name)
        if opened is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        file, size = opened
        with file:
            part = _part(self.headers.get("Range"), size)
            if part is None:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, stop = part
            self.send_response(HTTPStatus.OK if part == (0, size) else HTTPStatus.PARTIAL_CONTENT)
            if part != (0, size):
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.send_header("Content-Type", TYPES.get(Path(name).suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(stop - start))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Cache-Control", "no-cache")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if with_content:
                self._send(file, start, stop)

    def _open(self, name: str) -> tuple[BinaryIO, int] | None:
        if name in self.pages:
            return BytesIO(self.pages[name]), len(self.pages[name])
        path = self.files.get(name.removeprefix(f"{STORE_FOLDER}/")) if name.startswith(f"{STORE_FOLDER}/") else None
        try:
            return None if path is None else (path.open("rb"), path.stat().st_size)
        except OSError:
            return None

    def _send(self, file: BinaryIO, start: int, stop: int) -> None:
        try:
            file.seek(start)
            while start < stop and (piece := file.read(min(PIECE_BYTES, stop - start))):
                self.wfile.write(piece)
                start += len(piece)
        except (BrokenPipeError, ConnectionResetError):  # the browser has changed its mind
            self.close_connection = True


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last that a request wants; None if the file does not have them."""
    match = RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return 0, size  # what is no single range may be ignored
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    return (start, stop) if start < stop else None
