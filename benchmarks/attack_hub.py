"""The Hub of the tests in a process of its own, whose repositories can be put aside, brought back and looked at.

    python benchmarks/attack_hub.py

Prints the address of the Hub and, on a second line, that of its keeper, and serves until its standard input ends. The
keeper answers `/save?name=X`, `/load?name=X` (no repositories where nothing was saved) and `/trees`: the sha256 of
every file of every branch and tag of `ada/digits`.

Needs: the `dev` extra; tests/hub beside this folder.
"""

import argparse
import copy
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

REPO = "ada/digits"


@dataclass(frozen=True)
class HubProcess:
    """A Hub that runs.

    Attributes:
        endpoint: its address, for `HF_ENDPOINT`.
        keeper: the address of its keeper.
    """

    endpoint: str
    keeper: str

    def save(self, name: str) -> None:
        """Remember the repositories as they are."""
        self._ask(f"save?name={name}")

    def load(self, name: str) -> None:
        """Bring back what was saved; an unknown name gives an empty Hub."""
        self._ask(f"load?name={name}")

    def trees(self) -> dict[str, dict[str, str]]:
        """Branch or tag -> path -> sha256 of its content."""
        found: dict[str, dict[str, str]] = self._ask("trees")
        return found

    def _ask(self, what: str) -> Any:
        with urlopen(f"{self.keeper}/{what}", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def hub_process() -> Iterator[HubProcess]:
    """Start a Hub and end it."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdin is not None
    try:
        yield HubProcess(process.stdout.readline().strip(), process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(10)


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    _serve()


def _serve() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/hub"))
    from server import Hub

    hub, saved = Hub(), dict[str, Any]()

    class Keeper(BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            name = parse_qs(url.query).get("name", [""])[0]
            answer: dict[str, Any] = {}
            with hub.lock:
                if url.path == "/save":
                    saved[name] = copy.deepcopy(hub.repos)
                elif url.path == "/load":
                    hub.repos = copy.deepcopy(saved.get(name, {}))
                elif REPO in hub.repos:
                    repo = hub.repos[REPO]
                    answer = {
                        ref: {path: sha for path, (sha, _) in repo.commits[commit].items()}
                        for ref, commit in {**repo.refs, **repo.tags}.items()
                    }
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    keeper = HTTPServer(("127.0.0.1", 0), Keeper)
    threading.Thread(target=keeper.serve_forever, daemon=True).start()
    print(hub.endpoint, f"http://127.0.0.1:{keeper.server_address[1]}", sep="\n", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
