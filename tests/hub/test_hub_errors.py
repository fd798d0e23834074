"""Errors of a push or a pull: one line, exit code 2, nothing lost, no token shown."""

import shutil
from pathlib import Path

import pytest
from client import Client, Done
from server import Fault, Hub
from tiny_store import store_bytes

from inrzoo.store import open_store


def one_line(done: Done) -> str:
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1, done
    assert done.err.startswith("inrzoo: ") and "hf_" not in done.err
    return done.err


@pytest.mark.parametrize(
    "token, repo, said",
    [
        (None, "ada/tiny", "no token for the Hub; log in with `hf auth login`, or set HF_TOKEN"),
        ("hf_stolen", "ada/tiny", "does not know this token (401); log in"),
        ("hf_bob", "ada/tiny", "may not write to ada/tiny (403)"),
        ("hf_ada", "tiny", "expected USER/NAME"),
        ("hf_ada", "ada/ti ny", "cannot be a dataset's name: expected USER/NAME"),
        ("hf_ada", "ada/tiny@v1", "cannot be a dataset's name: expected USER/NAME"),
    ],
)
def test_who_may_push_what(hub: Hub, client: Client, finished: Path, token: str | None, repo: str, said: str) -> None:
    before = store_bytes(finished)
    assert said in one_line(client.inrzoo("push", finished, repo, token=token))
    assert not hub.repos and store_bytes(finished) == before


def test_writing_to_anothers_dataset(pushed: Hub, client: Client, larger: Path) -> None:
    tree = pushed.tree("ada/tiny")
    assert "(403)" in one_line(client.inrzoo("push", larger, "ada/tiny", token="hf_bob"))
    assert pushed.tree("ada/tiny") == tree


@pytest.mark.parametrize(
    "words, said",
    [
        (["ada/none"], "no dataset ada/none on the Hub"),
        (["ada/tiny", "--revision", "v9"], "no such revision"),
        (["ada/tiny", "--split", "hidden"], "no split 'hidden'; there are: train, validation, test"),
        (["ada/tiny", "--seeds", "0"], "--seeds 0 is not allowed; ada/tiny has 1 to 2"),
        (["one two"], "expected USER/NAME or hf://datasets/USER/NAME@REVISION"),
        (["ada/plain"], "has no version yet"),
    ],
)
def test_what_is_not_there(pushed: Hub, client: Client, tmp_path: Path, words: list[str], said: str) -> None:
    made = "from huggingface_hub import HfApi\nHfApi().create_repo('ada/plain', repo_type='dataset')"
    assert client.python(made).code == 0
    assert said in one_line(client.inrzoo("pull", *words, cwd=tmp_path))
    assert not list(tmp_path.glob("*.zarr"))


def test_what_stands_where_a_pull_would_go_stays(
    pushed: Hub, client: Client, sharded: Path, larger: Path, tmp_path: Path
) -> None:
    (tmp_path / "file.zarr").write_text("mine")
    for store, said in ((sharded, "holds other INRs"), (larger, "has 3 seeds"), (tmp_path / "file.zarr", "no store")):
        before = store.read_bytes() if store.is_file() else store_bytes(store)
        assert said in one_line(client.inrzoo("pull", "ada/tiny", "--out", store))
        assert (store.read_bytes() if store.is_file() else store_bytes(store)) == before


def test_the_same_inrs_with_other_last_bits_are_refused(
    pushed: Hub, client: Client, larger: Path, tmp_path: Path
) -> None:
    other = tmp_path / "tiny.zarr"
    shutil.copytree(larger, other)
    root = (other / "zarr.json").read_text()
    theirs = open_store(other).info.checksums["weights/c/0/0/0/0"]
    (other / "zarr.json").write_text(root.replace(theirs, "0" * 64))
    for words in (("push", other, "ada/tiny"), ("pull", "ada/tiny", "--out", other)):
        assert "other last bits (first in weights/c/0/0/0/0)" in one_line(client.inrzoo(*words))


def test_a_damaged_store_is_not_pushed(hub: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "tiny.zarr"
    shutil.copytree(finished, damaged)
    shard = damaged / "weights/c/0/0/0/0"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    assert "fails verification and was not pushed" in one_line(client.inrzoo("push", damaged, "ada/tiny"))
    assert not hub.repos
    assert "no store at" in one_line(client.inrzoo("push", tmp_path / "none.zarr", "ada/tiny"))


IMPATIENT = """
import sys, time
from inrzoo import cli
time.sleep = lambda seconds: None  # the client and we wait between attempts
sys.argv = ["inrzoo", *{words}]
cli.main()
"""


@pytest.mark.parametrize("words", [["push", "{store}", "ada/tiny"], ["pull", "ada/tiny"], ["list", "--hub"]], ids=str)
def test_the_network_is_gone(hub: Hub, client: Client, finished: Path, tmp_path: Path, words: list[str]) -> None:
    hub.faults = [Fault("", times=10**6, kind="lost")]
    code = IMPATIENT.format(words=[word.format(store=finished) for word in words])
    assert "no connection to the Hub" in one_line(client.python(code, cwd=tmp_path))
    assert len(hub.requests) > 3


def test_the_network_goes_in_the_middle(hub: Hub, client: Client, finished: Path) -> None:
    hub.faults = [Fault("PUT /lfs/", times=10**6, kind="cut")]
    words = ["push", str(finished), "ada/tiny"]
    assert "finished files are safe" in one_line(client.python(IMPATIENT.format(words=words)))
    assert not hub.repos["ada/tiny"].tags
    hub.faults = []
    assert client.inrzoo(*words).code == 0 and list(hub.repos["ada/tiny"].tags) == ["v1"]


FULL = """
import errno, os, sys
import inrzoo.hub
from inrzoo import cli
room = sys.modules["inrzoo.hub.{room}"]  # the package's attribute of that name is the function

def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

room.{name} = full
sys.argv = ["inrzoo", *{words}]
cli.main()
"""


@pytest.mark.parametrize("room, name", [("push", "write_part"), ("describe", "draw_preview")])
def test_the_disk_is_full_while_pushing(hub: Hub, client: Client, finished: Path, room: str, name: str) -> None:
    words = ["push", str(finished), "ada/tiny"]
    assert "the disk is full" in one_line(client.python(FULL.format(room=room, name=name, words=words)))
    assert client.inrzoo(*words).code == 0 and list(hub.repos["ada/tiny"].tags) == ["v1"]


def test_the_disk_is_full_while_pulling(pushed: Hub, client: Client, tmp_path: Path) -> None:
    words = ["pull", "ada/tiny"]
    code = FULL.format(room="pull", name="download", words=words)
    assert "the disk is full" in one_line(client.python(code, cwd=tmp_path))
    small = code.replace('raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")', "return 10")
    small = small.replace("room.download", "room.free_bytes")
    assert "the disk has 10 bytes free" in one_line(client.python(small, cwd=tmp_path))
    assert client.inrzoo(*words, cwd=tmp_path).code == 0


def test_a_dataset_of_somebody_else_is_no_store(hub: Hub, client: Client, tmp_path: Path) -> None:
    code = """
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("ada/plain", repo_type="dataset")
api.upload_file(path_or_fileobj=b"1,2", path_in_repo="a.csv", repo_id="ada/plain", repo_type="dataset")
api.create_tag("ada/plain", tag="v1", repo_type="dataset")
"""
    assert client.python(code).code == 0
    assert "holds 0 zarr stores" in one_line(client.inrzoo("pull", "ada/plain", cwd=tmp_path))


@pytest.mark.slow
def test_a_stalled_transfer_is_tried_again(pushed: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    pushed.faults = [Fault("GET .*/resolve/.*/weights/c/0/1/", seconds=8)]
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(finished)
