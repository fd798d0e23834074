"""An S3 server (moto's) in a process of its own, and a proxy before it that errs at random.

Command:  python benchmarks/faulty_s3.py PORT [SHARE SEED]
Needs:    moto's server, in the extra `dev`.
With PORT alone it serves there; with SHARE and SEED it is the proxy before the server at that port, and says its own
port. `Proxy` is the same in a thread.
"""

import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

BUCKET = "inrzoo-test"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def credentials(port: int) -> dict[str, str]:
    """The environment that leads a client to this server."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }


def start() -> tuple[subprocess.Popen[bytes], int]:
    """Start a server with one empty bucket, `BUCKET`. Returns its process and its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, __file__, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("PUT", f"/{BUCKET}", headers={"Authorization": "AWS test:test"})
            answer = connection.getresponse()
            connection.close()
            if answer.status == 200:
                return process, port
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the S3 server did not start")
        time.sleep(0.1)


class Proxy:
    """Passes requests on to a server; some it refuses with 500 or 503, some connections it cuts.

    A connection is cut before the request is passed on, after it (so that the server has done what the client never
    hears of), or in the middle of the answer.

    Args:
        port: of the server.
        share: of the requests that meet a fault.
        seed: of the draw.

    Attributes:
        port: where the proxy listens.
        faults: how often each kind was met.
    """

    KINDS = ("500", "503", "cut before", "cut after", "cut within")

    def __init__(self, port: int, share: float, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        draw, lock, proxy = random.Random(seed), Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with lock:
                    fault = draw.choice(proxy.KINDS) if draw.random() < share else ""
                    proxy.faults.update([fault] if fault else [])
                if fault in ("500", "503"):
                    return self.refuse(int(fault))
                if fault == "cut before":
                    return self.cut()
                onward = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                onward.request(self.command, self.path, body, dict(self.headers))
                answer = onward.getresponse()
                content = answer.read()
                onward.close()
                if fault == "cut after":
                    return self.cut()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if fault == "cut within" else content)
                if fault == "cut within":
                    self.cut()
                return None

            def refuse(self, status: int) -> None:
                content = b"" if self.command == "HEAD" else b"<Error><Code>InternalError</Code></Error>"
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def cut(self) -> None:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":
    os.environ.setdefault("MOTO_S3_DEFAULT_KEY_BUFFER_SIZE", str(2**26))  # objects stay in memory
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("share", type=float, nargs="?", help="of requests that fail")
    parser.add_argument("seed", type=int, nargs="?", default=0, help="of the draw of them")
    options = parser.parse_args()
    if options.share is not None:
        proxy = Proxy(options.port, options.share, options.seed)
        print(proxy.port, flush=True)
        sys.stdin.read()
        print(json.dumps(proxy.faults), flush=True)
    else:
        from moto.server import main

        main(["-H", "127.0.0.1", "-p", str(options.port)])
