"""Downloads from a small server on this machine."""

import functools
import hashlib
import http.server
import socket
import threading
from pathlib import Path

import pytest
from small_datasets import all_values, omniglot_files, write_idx, write_zip

from inrzoo.errors import InrzooError
from inrzoo.sources._download import download_folder, fetch
from inrzoo.sources.idx_images import IdxImages
from inrzoo.sources.omniglot import Omniglot


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.requests.append(self.path)


class HalfHandler(QuietHandler):
    """Announces a whole file and hangs up in the middle."""

    def copyfile(self, source, outputfile):
        outputfile.write(source.read()[:100])


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def serve(tmp_path, cache):
    servers = []

    def start(handler=QuietHandler):
        folder = tmp_path / "www"
        folder.mkdir(exist_ok=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        server.requests = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return folder, server, f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def hashes_of(folder: Path, kind: str = "sha256") -> dict[str, str]:
    return {
        file.name: f"{kind}:{hashlib.new(kind, file.read_bytes()).hexdigest()}" for file in sorted(folder.iterdir())
    }


def files_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_files_are_fetched_once_and_then_found(serve, cache, kind):
    folder, server, url = serve()
    write_idx(folder)
    source = IdxImages(url=url, hashes=hashes_of(folder, kind), num_validation=10)
    fetched = source.read(None)
    assert len(server.requests) == 4 and files_in(cache) == sorted(path.name for path in folder.iterdir())
    assert fetched.checksums == IdxImages(num_validation=10).read(folder).checksums
    again = source.read(None)
    assert len(server.requests) == 4
    assert (all_values(again) == all_values(fetched)).all()


def test_omniglot_downloads_both_archives(serve, cache):
    folder, _, url = serve()
    for name, alphabet in (("images_background", "Greek"), ("images_evaluation", "Keble")):
        write_zip(folder / f"{name}.zip", omniglot_files(name, (alphabet,)))
    signals = Omniglot(url=f"{url}/", hashes=hashes_of(folder, "md5"), splits="official").read(None)
    assert signals.label_names["alphabet"] == ["Greek", "Keble"]


def test_a_damaged_cached_file_is_fetched_again(serve, cache):
    folder, server, url = serve()
    write_idx(folder)
    hashes = hashes_of(folder)
    (fetch(url, hashes) / "train-images-idx3-ubyte.gz").write_bytes(b"half")
    assert hashes_of(fetch(url, hashes)) == hashes
    assert len(server.requests) == 5


def assert_helpful(error: InrzooError, url: str, cache: Path) -> None:
    assert "\n" not in str(error)
    for name in ("a.bin", "b.bin"):
        assert f"{url}/{name}" in str(error)
    assert "--source" in str(error) and str(cache) in str(error)


def test_another_file_than_expected_is_refused_and_not_kept(serve, cache):
    folder, _, url = serve()
    (folder / "a.bin").write_bytes(b"what the server has")
    with pytest.raises(InrzooError, match=r"a.bin is not the expected file") as caught:
        fetch(url, {"a.bin": "sha256:" + "0" * 64, "b.bin": "sha256:" + "1" * 64})
    assert_helpful(caught.value, url, cache)
    assert files_in(cache) == []


def test_a_broken_transfer_leaves_nothing(serve, cache):
    folder, _, url = serve(HalfHandler)
    for name in ("a.bin", "b.bin"):
        (folder / name).write_bytes(bytes(5000))
    with pytest.raises(InrzooError, match=r"a.bin (cannot be downloaded|is not the expected file)") as caught:
        fetch(url, hashes_of(folder))
    assert_helpful(caught.value, url, cache)
    assert files_in(cache) == []


def test_a_file_that_is_not_there_and_a_server_that_does_not_answer(serve, cache):
    _, _, url = serve()
    hashes = {"a.bin": "md5:" + "0" * 32, "b.bin": "md5:" + "0" * 32}
    with pytest.raises(InrzooError, match=r"a.bin cannot be downloaded \(404") as caught:
        fetch(url, hashes)
    assert_helpful(caught.value, url, cache)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        refusing = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(InrzooError, match=r"a.bin cannot be downloaded") as caught:
            fetch(refusing, hashes)
    assert_helpful(caught.value, refusing, cache)
    assert files_in(cache) == []


def test_two_sets_with_the_same_file_names_do_not_share_a_folder(cache):
    mnist, fashion = download_folder("https://a.org/mnist"), download_folder("https://a.org/fashion/")
    assert mnist != fashion and mnist.parent == fashion.parent == cache / "downloads"
