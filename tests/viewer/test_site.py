"""The folder of a site, the local server, and the page that is built from its sources."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tiny_store import set_attributes, store_bytes

from inrzoo import viewer
from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.viewer import site

VIEWER = Path(viewer.__file__).parent
WEB, STATIC = VIEWER / "web", VIEWER / "static"
MAX_BYTES = 300_000


def ask(address, path, method="GET", **headers):
    """Status, headers and content of an answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def gallery(finished_small, serve):
    return serve(finished_small)


def test_a_site_holds_the_page_and_the_whole_store(inrzoo, finished_small, tmp_path):
    before = store_bytes(finished_small)
    code, output, _ = inrzoo("site", finished_small, "--out", tmp_path / "site")
    assert code == 0 and "12 INRs" in output
    assert {entry.name for entry in (tmp_path / "site").iterdir()} == {*site.PAGE, "gallery.json", "store"}
    assert store_bytes(tmp_path / "site" / "store") == before == store_bytes(finished_small)
    assert str(finished_small.parent) not in (tmp_path / "site" / "gallery.json").read_text()
    code, _, error = inrzoo("site", finished_small, "--out", tmp_path / "site")
    assert code == 2 and error == f"inrzoo: {tmp_path / 'site'} exists; give another --out\n"


def test_a_site_may_refer_to_a_store_elsewhere(inrzoo, finished_small, tmp_path):
    link = "https://example.org/tiny.zarr"
    assert inrzoo("site", finished_small, "--out", tmp_path / "site", "--link", link)[0] == 0
    assert not (tmp_path / "site" / "store").exists() and link in (tmp_path / "site" / "gallery.json").read_text()
    code, _, error = inrzoo("site", finished_small, "--out", tmp_path / "other", "--link", "javascript:alert(1)")
    assert code == 2 and "--link javascript:alert(1) is not allowed" in error and not (tmp_path / "other").exists()


def test_a_crash_leaves_no_half_page(finished_small, tmp_path, monkeypatch):
    def fail(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(site, "sync_tree", fail)
    with pytest.raises(OSError, match="No space"):
        viewer.write_site(open_store(finished_small), tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_replaced(finished_small, tmp_path):
    (tmp_path / ".site.partial").mkdir()
    (tmp_path / ".site.partial" / "old").write_text("half")
    viewer.write_site(open_store(finished_small), tmp_path / "site")
    assert [entry.name for entry in tmp_path.iterdir()] == ["site"] and not (tmp_path / "site" / "old").exists()


@pytest.mark.parametrize("command", ["view", "site"])
def test_an_unfinished_store_is_refused(inrzoo, finished_small, tmp_path, command):
    path = tmp_path / "half.zarr"
    shutil.copytree(finished_small, path)
    set_attributes(path, complete=False)
    words = ["--out", tmp_path / "site"] if command == "site" else ["--no-browser"]
    code, _, error = inrzoo(command, path, *words)
    assert code == 2 and error == f"inrzoo: {path} is not finished; run the same build again, then show it\n"
    assert not (tmp_path / "site").exists()


def test_the_server_gives_ranges(gallery, finished_small):
    name = next(name for name in store_bytes(finished_small) if name.startswith("weights/c/"))
    content, path = (finished_small / name).read_bytes(), f"/store/{name}"
    size = len(content)
    for words, part in (
        ("bytes=0-9", content[:10]),
        ("bytes=10-", content[10:]),
        ("bytes=-20", content[-20:]),
        (f"bytes=5-{size + 99}", content[5:]),
        (f"bytes=-{size + 99}", content),
    ):
        status, headers, answer = ask(gallery, path, Range=words)
        assert answer == part and status == (206 if len(part) < size else 200), words
        assert int(headers["Content-Length"]) == len(part)
    status, headers, _ = ask(gallery, path, Range="bytes=3-3")
    assert status == 206 and headers["Content-Range"] == f"bytes 3-3/{size}"
    status, headers, answer = ask(gallery, path, Range=f"bytes={size}-")
    assert (status, headers["Content-Range"], answer) == (416, f"bytes */{size}", b"")
    assert ask(gallery, path)[2] == content
    status, headers, answer = ask(gallery, path, method="HEAD")
    assert (status, int(headers["Content-Length"]), answer) == (200, size, b"")


@pytest.mark.parametrize(
    "path",
    ["/store/../../etc/passwd", "/store/%2e%2e/tiny.zarr/zarr.json", "/store/_build/x", "/other", "/store/"],
)
def test_the_server_gives_no_other_file(gallery, path):
    assert ask(gallery, path)[0] == 404


def test_pages_of_other_names_read_nothing(gallery):
    assert ask(gallery, "/gallery.json", Host="elsewhere.example")[0] == 403
    assert ask(gallery, "/gallery.json", Host="localhost:1")[0] == 200


def test_a_taken_port_is_one_line(inrzoo, finished_small):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, error = inrzoo("view", finished_small, "--no-browser", "--port", port)
    assert code == 2 and error == f"inrzoo: port {port} is in use; give another --port, or none for a free one\n"
    assert inrzoo("view", finished_small, "--port", 70000)[0] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_view_prints_its_address_and_stops_on_a_signal(finished_small, number):
    words = [sys.executable, "-m", "inrzoo", "view", str(finished_small), "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        address = next(word for word in process.stdout.readline().split() if word.startswith("http"))
        assert b"INRs" in ask(address, "/")[2]
        process.send_signal(number)
        assert process.wait(30) == 0 and process.stderr.read() == ""


def test_a_store_in_a_bucket_has_no_page_without_a_link(finished_small, tmp_path):
    store = open_store(finished_small)
    store.cache, store.location = object(), "s3://bucket/tiny.zarr"
    with pytest.raises(InrzooError, match=r"browsers cannot read s3://bucket/tiny\.zarr"):
        viewer.write_site(store, tmp_path / "site")
    store.location = "https://example.org/tiny.zarr"
    assert site.page_address(store, None) == store.location


def test_a_family_without_a_formula_is_said_to_have_none(finished_small):
    store = open_store(finished_small)
    store.formula = None
    assert site.page_files(store, "store/")["gallery.json"].find(b'"formula": null') > 0


def test_the_page_is_small():
    assert sum(file.stat().st_size for file in STATIC.iterdir()) <= MAX_BYTES


@pytest.mark.parametrize("installs", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_page_is_what_its_sources_give(tmp_path, installs):
    if not (npm := shutil.which("npm")) or not shutil.which("node"):
        pytest.skip("npm is not on the path")
    installed, web = "node_modules", tmp_path / "web"
    if not installs and not (WEB / installed).is_dir():
        pytest.skip("npm ci has not been run in inrzoo/viewer/web")
    shutil.copytree(WEB, web, symlinks=True, ignore=shutil.ignore_patterns(installed) if installs else None)
    if installs:
        command = [npm, "ci", "--no-audit", "--no-fund"]
        if subprocess.run(command, cwd=web, capture_output=True, timeout=300).returncode:
            pytest.skip("npm cannot install what the page is built with")
        subprocess.run([npm, "run", "check"], cwd=web, check=True, capture_output=True)
    subprocess.run(["node", "build.mjs", str(tmp_path / "static")], cwd=web, check=True, capture_output=True)
    for file in STATIC.glob("gallery.*"):
        assert file.read_bytes() == (tmp_path / "static" / file.name).read_bytes(), f"{file.name}: run npm run build"


def test_a_server_names_the_place_that_it_is_given(finished_small):
    link = "https://example.org/resolve/0123/tiny.zarr"
    server = viewer.make_server(open_store(finished_small), link=link)
    try:
        handler = server.RequestHandlerClass
        assert json.loads(handler.pages["gallery.json"])["store"] == link and handler.files == {}
    finally:
        server.server_close()
