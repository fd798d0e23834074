"""A Hub for tests: what the real `huggingface_hub` and `datasets` clients call, over HTTP, in memory.

It counts requests and bytes, waits as long as it is told, and fails, cuts, corrupts or kills its client at a chosen
request. What it answers is in `routes`.
"""

import contextlib
import copy
import hashlib
import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hostile_server import KINDS, answer_badly
from routes import FRAMEWORKS, Answer, Routes, Tree


@dataclass
class Repo:
    private: bool
    commits: dict[str, Tree] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    titles: dict[int, str] = field(default_factory=dict)


State = tuple[dict[str, Repo], dict[str, bytes]]
"""Repositories and blobs of a Hub."""


@dataclass
class Fault:
    """A fault of requests whose `METHOD path` matches: an HTTP status, a wait, or a kind: `cut`, `corrupt`,
    `lost`, or one of `hostile_server.KINDS`.
    """

    pattern: str
    times: int = 1
    status: int = 0
    kind: str = ""
    seconds: float = 0.0


class Hub:
    """The server, and what a test looks at or turns."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self  # type: ignore[attr-defined]
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.lock = threading.RLock()
        self.reset()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def reset(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.tokens = {"hf_ada": "ada", "hf_bob": "bob"}
        self.requests: list[str] = []
        self.sent = Counter()  # bytes by `up` and `down`
        self.uploads: list[str] = []
        self.faults: list[Fault] = []
        self.frameworks = set(FRAMEWORKS)
        self.latency = 0.0
        self.kill_at: tuple[int, bool] | None = None  # (number of the request, after it was handled)
        self.victim = 0  # the process to kill; set once it has started
        self.at_request: Any = None  # called with every `METHOD path`

    def state(self) -> State:
        """A copy of what is stored here."""
        return copy.deepcopy(self.repos), dict(self.blobs)

    def restore(self, state: State) -> None:
        """Store what a Hub had when `state` was taken."""
        self.repos, self.blobs = copy.deepcopy(state[0]), dict(state[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def tree(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """Content of every file of a revision."""
        found = self.repos[repo]
        commit = self.commit_of(found, revision)
        return {path: self.blobs[sha] for path, (sha, _) in found.commits[commit].items()}

    def commit_of(self, repo: Repo, revision: str) -> str | None:
        if revision in repo.commits:
            return revision
        return repo.refs.get(revision) or repo.tags.get(revision)

    def commit(self, repo: Repo, branch: str, tree: Tree) -> str:
        number = str(len(repo.history))
        sha = hashlib.sha1((number + json.dumps(tree, sort_keys=True)).encode()).hexdigest()
        repo.commits[sha], repo.refs[branch] = tree, sha
        repo.history.append(sha)
        return sha

    def new_repo(self, private: bool) -> Repo:
        return Repo(private)

    def put(self, content: bytes) -> str:
        sha = hashlib.sha256(content).hexdigest()
        self.blobs[sha] = content
        return sha


class _Handler(Routes, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement

    def log_message(self, *words: Any) -> None:
        pass

    def _handle(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        self.hub, url = hub, urlsplit(self.path)
        self.route, self.query = unquote(url.path), parse_qs(url.query)
        what = f"{self.command} {self.route}"
        with hub.lock:
            hub.requests.append(what)
            number = len(hub.requests)
            self.fault = next((fault for fault in hub.faults if fault.times and re.search(fault.pattern, what)), None)
            if self.fault:
                self.fault.times -= 1
        if hub.at_request:
            hub.at_request(what)
        time.sleep(hub.latency + (self.fault.seconds if self.fault else 0))
        if hub.kill_at == (number, False):
            return self._kill()
        length = int(self.headers.get("Content-Length") or 0)
        if self.fault and self.fault.kind == "cut" and self.command in ("PUT", "POST"):
            self.rfile.read(length // 2)
            return self._drop()
        self.body = (
            self._read_chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else self.rfile.read(length)
        )
        if len(self.body) < length:
            return self._drop()  # the client went away in the middle
        try:
            if self.fault and self.fault.status:
                raise Answer(self.fault.status, message="told to fail")
            with hub.lock:
                hub.sent["up"] += len(self.body)
                answer = self.answer()
        except Answer as error:
            if hub.kill_at == (number, True):
                return self._kill()
            if self.fault and self.fault.kind == "lost":
                return self._drop()
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            return self.send(error.status, json.dumps({"error": error.message}).encode(), headers)
        if hub.kill_at == (number, True):
            return self._kill()
        if self.fault and self.fault.kind == "lost":
            return self._drop()  # done, and nobody is told
        if answer is not None:
            self.send(200, json.dumps(answer).encode(), getattr(self, "extra", {}))
        return None

    def _serve(self) -> None:
        self.bad_answer: tuple[bytes, dict[str, str]] | None = None
        self._handle()
        if self.bad_answer is not None:
            answer_badly(self.fault.kind, self, *self.bad_answer)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _kill(self) -> None:
        while self.hub.kill_at and not self.hub.victim:
            time.sleep(0.001)
        os.kill(self.hub.victim, signal.SIGKILL)
        self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        if self.fault and self.fault.kind in KINDS:
            self.bad_answer = content, {key: value for key, value in headers.items() if value}
            return  # given when the lock is free: others are not to wait for it
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            if value:
                self.send_header(name, value)
        with contextlib.suppress(OSError):  # the client has gone
            self.end_headers()
            if self.command == "HEAD":
                return
            self.hub.sent["down"] += len(content)
            if self.fault and self.fault.kind == "cut":
                self.wfile.write(content[: len(content) // 2])
                self._drop()
            else:
                self.wfile.write(content)
        return


if __name__ == "__main__":  # for a process that is not a test: prints its address and serves until it is ended
    print(Hub().endpoint, flush=True)
    threading.Event().wait()
