"""A Hub that answers what it likes: `pull`, `list --hub` and `hf://` addresses against hostile answers."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import huggingface_hub
import pytest
from cases import Sandbox, fuzz
from hostile import places, trees
from hypothesis import strategies as st

REPO, COMMIT = "ada/tiny", "a" * 40


class Hub:
    """The answers of an honest Hub to whoever pulls one dataset; `answer` may be tampered with."""

    def __init__(self, store: Path) -> None:
        self.files = {
            f"tiny.zarr/{path.relative_to(store)}": path.read_bytes() for path in store.rglob("*") if path.is_file()
        }
        self.tamper: Callable[[str, bytes], bytes] = lambda kind, content: content

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, kind, headers = request.url.path, "json", {"X-Repo-Commit": COMMIT}
        if "/resolve/" in path:
            kind, name = "file", path.split("/resolve/")[1].split("/", 1)[1]
            if name not in self.files:
                return httpx.Response(404, headers={"X-Error-Code": "EntryNotFound"}, json={})
            content = self.files[name]
            headers["ETag"] = f'"{self._blob(content)}"'
        elif path.endswith("/refs"):
            content = _json(
                {
                    "branches": [],
                    "converts": [],
                    "tags": [{"name": "v1", "ref": "refs/tags/v1", "targetCommit": COMMIT}],
                }
            )
        elif "/tree/" in path:
            content = _json(self._tree(recursive=request.url.params.get("recursive") in ("true", "True", "1")))
        elif path == "/api/datasets":
            card = {"inrzoo": {"version": 1, "format": 1, "num_inrs": 3}, "tags": ["inrzoo"]}
            content = _json([{"id": REPO, "private": False, "cardData": card, "tags": ["inrzoo"]}])
        else:
            content = _json({"id": REPO, "sha": COMMIT, "private": False, "siblings": [], "tags": []})
        content = self.tamper(kind, content)
        headers["Content-Length"] = str(len(content))
        return httpx.Response(200, headers=headers, content=b"" if request.method == "HEAD" else content)

    def _tree(self, recursive: bool) -> list[dict[str, Any]]:
        if not recursive:
            return [{"type": "directory", "oid": "b" * 40, "size": 0, "path": "tiny.zarr"}]
        return [
            {"type": "file", "oid": self._blob(content), "size": len(content), "path": name}
            for name, content in self.files.items()
        ]

    @staticmethod
    def _blob(content: bytes) -> str:
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


@pytest.fixture
def target(whole_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub(whole_store)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("HF_TOKEN", "hf_sentinel")
    huggingface_hub.set_client_factory(lambda: httpx.Client(transport=httpx.MockTransport(hub), follow_redirects=True))
    yield hub
    huggingface_hub.close_session()
    huggingface_hub.set_client_factory(lambda: httpx.Client(follow_redirects=True))


@fuzz(st.data(), slow=200, quick=15)
def test_answers(data: Any, sandbox: Sandbox, target: Hub) -> None:
    # Drawn before: answers are asked for by several threads.
    at, spot, wild = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 2**16)), data.draw(trees)
    key, cut = (
        data.draw(st.sampled_from(("path", "size", "oid", "type", "sha", "tags", "cardData", "id"))),
        data.draw(st.booleans()),
    )
    numbers = iter(range(10**6))

    def tamper(kind: str, content: bytes) -> bytes:
        if next(numbers) != at:
            return content
        if kind == "file" or cut:
            return content[: spot % (len(content) + 1)] + b"!" + content[spot % (len(content) + 1) + 1 :]
        tree = json.loads(content)
        known = places(tree)
        if spot % 7 == 0 or not known:
            return _json(wild)
        place = (
            next((each for each in known if each[-1] == key), known[spot % len(known)])
            if spot % 2
            else known[spot % len(known)]
        )
        parent = tree
        for part in place[:-1]:
            parent = parent[part]
        parent[place[-1]] = "../../outside.zarr" if spot % 3 == 0 else wild
        return _json(tree)

    target.tamper = tamper
    words = data.draw(
        st.sampled_from((["pull", REPO, "--out", "a.zarr"], ["list", "--hub"], ["list", "--hub", "--json"]))
    )
    sandbox.run(*words)
