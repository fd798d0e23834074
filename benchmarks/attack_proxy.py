"""An HTTP server that answers honestly, for a folder or for another server, until it turns hostile.

    python benchmarks/attack_proxy.py UPSTREAM KIND FIRST

UPSTREAM is a folder or the address of a server; from request number FIRST on every answer is bad, as KIND of
tests/hub/hostile_server.py says. Prints its port and serves until its standard input ends.

Needs: nothing but Python; tests/hub beside this folder.
"""

import argparse
import itertools
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/hub"))
from hostile_server import KINDS, answer_badly

PASSED_ON = ("content-type", "link", "location", "etag", "x-")
"""Beginnings of the names of headers that are passed on."""

__all__ = ["KINDS"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream, kind, first = "", "", 0
    numbers = itertools.count(1)

    def log_message(self, *words: object) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self._honest(body)
        if next(self.numbers) >= self.first:
            answer_badly(self.kind, self, content, headers)
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve

    def _honest(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        if "://" not in self.upstream:
            file = Path(self.upstream) / self.path.lstrip("/").split("/", 1)[-1]
            return (200, {}, file.read_bytes()) if file.is_file() else (404, {}, b"")
        ours = ("host", "accept-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ours}
        given = Request(self.upstream + self.path, body or None, headers, method=self.command)
        try:
            with urlopen(given, timeout=60) as done:
                status, found, content = done.status, done.headers, done.read()
        except HTTPError as error:
            status, found, content = error.code, error.headers, error.read()
        passed = {name: value for name, value in found.items() if name.lower().startswith(PASSED_ON)}
        if self.command == "HEAD":
            passed["Content-Length"] = found.get("Content-Length", "0")
        here = f"http://{self.headers.get('Host')}"
        return status, {name: value.replace(self.upstream, here) for name, value in passed.items()}, content


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstream")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("first", type=int)
    given = parser.parse_args()
    _Handler.upstream, _Handler.kind, _Handler.first = given.upstream, given.kind, given.first
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
