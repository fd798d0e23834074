"""A gallery on the Hub: a Space of static files, which reads one version of the dataset and evaluates its INRs."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from browser import Browser, chromium
from client import Client
from server import Fault, Hub

from inrzoo.store import open_store
from inrzoo.viewer.site import PAGE

SPACE = "spaces/ada/tiny"


@pytest.fixture
def shown(pushed: Hub, client: Client, finished: Path) -> Hub:
    """A Hub with the gallery of a version that was pushed before."""
    done = client.inrzoo("push", finished, "ada/tiny", "--gallery")
    assert done.code == 0 and f"{pushed.endpoint}/spaces/ada/tiny: the gallery of v1" in done.out, done
    return pushed


def test_the_space_is_static_and_reads_the_store_at_the_commit_of_the_version(shown: Hub) -> None:
    files, commit = shown.tree(SPACE), shown.repos["ada/tiny"].tags["v1"]
    assert {*files} == {".gitattributes", "README.md", "gallery.json", *PAGE}
    header = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert header["sdk"] == "static" and header["datasets"] == ["ada/tiny"] and header["app_file"] == "index.html"
    address = json.loads(files["gallery.json"])["store"]
    assert address == f"{shown.endpoint}/datasets/ada/tiny/resolve/{commit}/tiny.zarr"
    assert list(shown.repos["ada/tiny"].tags) == ["v1"]


def test_a_gallery_is_sent_once_and_follows_the_next_version(
    shown: Hub, client: Client, finished: Path, larger: Path
) -> None:
    shown.requests.clear()
    assert client.inrzoo("push", finished, "ada/tiny", "--gallery").code == 0
    assert not [what for what in shown.requests if "/commit/" in what]
    assert client.inrzoo("push", larger, "ada/tiny").code == 0  # without the option the gallery stays at v1
    before = json.loads(shown.tree(SPACE)["gallery.json"])
    assert shown.repos["ada/tiny"].tags["v1"] in before["store"] and before["seeds"] == [0, 1]
    done = client.inrzoo("push", larger, "ada/tiny", "--gallery", "--json")
    after = json.loads(shown.tree(SPACE)["gallery.json"])
    assert json.loads(done.out)["gallery"] == f"{shown.endpoint}/spaces/ada/tiny"
    assert shown.repos["ada/tiny"].tags["v2"] in after["store"] and after["seeds"] == [0, 1, 2]


def test_an_interrupted_gallery_is_completed_by_the_same_command(hub: Hub, client: Client, finished: Path) -> None:
    hub.faults = [Fault("POST .*/spaces/ada/tiny/commit/", times=10**6, status=403)]
    done = client.inrzoo("push", finished, "ada/tiny", "--gallery")
    assert done.code == 2 and len(done.err.splitlines()) == 1 and list(hub.repos["ada/tiny"].tags) == ["v1"]
    assert "gallery.json" not in hub.tree(SPACE)
    hub.faults = []
    assert "nothing was sent" in client.inrzoo("push", finished, "ada/tiny", "--gallery").out
    assert "gallery.json" in hub.tree(SPACE) and "style.css" not in hub.tree(SPACE)


OTHER = """
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("ada/tiny", repo_type="space", space_sdk="static")
api.upload_file(path_or_fileobj=b"mine", path_in_repo="app.js", repo_id="ada/tiny", repo_type="space")
"""


def test_a_space_of_something_else_stays(hub: Hub, client: Client, finished: Path) -> None:
    assert client.python(OTHER).code == 0
    before = hub.tree(SPACE)
    done = client.inrzoo("push", finished, "ada/tiny", "--gallery")
    assert done.code == 2 and "the Space ada/tiny holds something else (first app.js)" in done.err
    assert hub.tree(SPACE) == before and "ada/tiny" not in hub.repos


@pytest.mark.parametrize("words, said", [
    (["--private"], "browsers cannot read a private dataset"),
    (["--revision", "trial"], "--gallery shows a version"),
    (["--create-pr"], "--gallery shows a version"),
])  # fmt: skip
def test_what_no_browser_could_show_is_refused_first(
    hub: Hub, client: Client, finished: Path, words: list[str], said: str
) -> None:
    done = client.inrzoo("push", finished, "ada/tiny", "--gallery", *words)
    assert done.code == 2 and said in done.err and not hub.repos


def test_the_gallery_of_a_private_dataset_is_refused(pushed: Hub, client: Client, finished: Path) -> None:
    pushed.repos["ada/tiny"].private = True
    done = client.inrzoo("push", finished, "ada/tiny", "--gallery")
    assert done.code == 2 and "ada/tiny is private" in done.err and SPACE not in pushed.repos


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium is on the path")
    opened = Browser(program)
    yield opened
    opened.close()


def test_a_browser_evaluates_the_inrs_of_the_dataset(
    shown: Hub, browser: Browser, finished: Path, tmp_path: Path
) -> None:
    for name, content in shown.tree(SPACE).items():
        (tmp_path / name).write_bytes(content)
    handler = partial(Silent, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    shown.requests.clear()
    shown.faults = [Fault("HEAD ", times=10**6, status=403)]  # as addresses that are signed for GET alone
    try:
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        store = open_store(finished)
        for signal, seed in ((0, 0), (5, 1)):
            expected = store.render(signal, seed).numpy().ravel()
            values = browser.evaluate(f"window.inrzoo.values({signal}, {seed})")
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5)
            assert np.abs(expected).max() > 0.01
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert browser.complaints == []
    read = [what for what in shown.requests if "/resolve/" in what]
    assert read and all("/datasets/ada/tiny/resolve/" in what for what in read)


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
