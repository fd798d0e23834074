"""A store to the Hub and back, with the real clients."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from client import Client
from server import Hub
from tiny_store import small, store_bytes

from inrzoo.builder import build
from inrzoo.store import open_store

STREAM = """
import datasets, numpy, sys
for split in {splits}:
    found = datasets.load_dataset("ada/tiny", split=split, streaming={streaming}).with_format("numpy")
    rows = [(row["weights"], row["signal"], row["seed"], row["step"], row["psnr"], row["label"]) for row in found]
    numpy.savez(f"{{split}}.npz", *[numpy.array(column) for column in zip(*rows)])
"""


def push(client: Client, path: Path, *words: object, **settings: object) -> str:
    done = client.inrzoo("push", path, "ada/tiny", *words, **settings)
    assert done.code == 0, done.err
    return done.out


def test_what_is_pulled_is_what_was_pushed(pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path) -> None:
    done = client.inrzoo("pull", "ada/tiny", cwd=tmp_path)
    assert done.code == 0 and "v1, complete" in done.out, done.err
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(sharded)
    assert client.inrzoo("verify", tmp_path / "tiny.zarr").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.zarr"]
    again = client.inrzoo("pull", "ada/tiny", "--json", cwd=tmp_path)
    assert json.loads(again.out)["num_bytes"] == 0


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_reads_the_same_bits(
    streaming: bool, pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path
) -> None:
    store = open_store(sharded)
    names = store.info.split_names
    done = client.python(STREAM.format(splits=names, streaming=streaming), cwd=tmp_path, token=None)
    assert done.code == 0, done.err
    seen = 0
    for code, name in enumerate(names):
        with np.load(tmp_path / f"{name}.npz") as columns:
            weights, signal, seed, step, psnr, label = (columns[key] for key in columns.files)
        assert set(signal.tolist()) == set(np.flatnonzero(store.split == code).tolist())
        assert weights.dtype == np.float32 and (step == store.snapshots[0]).all()
        np.testing.assert_array_equal(weights, store.weights[:, :, 0][signal, seed])
        np.testing.assert_array_equal(psnr, store.psnr[signal, seed, 0])
        np.testing.assert_array_equal(label, store.labels["digit"][signal])
        seen += len(signal)
    assert seen == store.status.size


def test_a_second_push_changes_nothing(pushed: Hub, client: Client, finished: Path) -> None:
    before, tags = dict(pushed.repos["ada/tiny"].commits), dict(pushed.repos["ada/tiny"].tags)
    pushed.requests.clear()
    assert "is there already" in push(client, finished)
    assert pushed.repos["ada/tiny"].commits == before and pushed.repos["ada/tiny"].tags == tags
    assert not [what for what in pushed.requests if not what.startswith(("GET", "HEAD"))]


def test_more_seeds_send_only_what_is_new(
    pushed: Hub, client: Client, finished: Path, larger: Path, tmp_path: Path
) -> None:
    old = pushed.tree("ada/tiny", "v1")
    pushed.uploads.clear()
    pushed.sent["up"] = 0
    assert "v2" in push(client, larger)
    assert pushed.tree("ada/tiny", "v1") == old
    new = pushed.tree("ada/tiny", "v2")
    kept = {name for name in old if name.startswith("data/") or (
        name.startswith("tiny.zarr/") and "/c/" in name and "/stats/" not in name)}  # fmt: skip
    assert kept and all(new[name] == old[name] for name in kept)
    assert not {hashlib.sha256(old[name]).hexdigest() for name in kept} & set(pushed.uploads)
    fresh = sum(len(content) for name, content in new.items() if old.get(name) != content)
    assert pushed.sent["up"] < 1.5 * fresh + 60_000  # what is not file is requests
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(larger)
    assert client.inrzoo("pull", "ada/tiny", "--revision", "v1", "--out", tmp_path / "old.zarr").code == 0
    assert store_bytes(tmp_path / "old.zarr") == store_bytes(finished)


ROWS = """
import datasets
rows = datasets.load_dataset("ada/tiny", split="train").sort(["seed", "signal"])
pictures = {row["image"].size for row in rows} if "image" in rows.features else None
print(rows.column_names[0], rows.column_names[-1], pictures, sorted(set(rows["seed"])))
"""


def test_rows_begin_with_a_picture_of_their_inr(pushed: Hub, client: Client, larger: Path, tmp_path: Path) -> None:
    done = client.inrzoo("push", larger, "ada/tiny", "--no-images")
    assert done.code == 2 and "the rows of ada/tiny have pictures" in done.err and len(done.err.splitlines()) == 1
    push(client, larger)
    done = client.python(ROWS, cwd=tmp_path, token=None)
    assert done.out.split("\n")[-2] == "image weights {(32, 32)} [0, 1, 2]", done.err


def test_rows_without_pictures_get_none_in_later_versions(
    hub: Hub, client: Client, finished: Path, larger: Path, tmp_path: Path
) -> None:
    """`datasets` refuses files of one split with other columns."""
    push(client, finished, "--no-images")
    push(client, larger)
    done = client.python(ROWS, cwd=tmp_path, token=None)
    assert done.out.split("\n")[-2] == "signal weights None [0, 1, 2]", done.err


def test_a_version_takes_nothing_away(hub: Hub, client: Client, finished: Path, larger: Path) -> None:
    push(client, larger)
    done = client.inrzoo("push", finished, "ada/tiny")
    assert done.code == 2 and "holds 3 seeds" in done.err and len(done.err.splitlines()) == 1
    assert list(hub.repos["ada/tiny"].tags) == ["v1"]


def test_a_tag_is_resolved_once(pushed: Hub, client: Client, larger: Path) -> None:
    push(client, larger)
    tags = pushed.repos["ada/tiny"].tags
    code = "from inrzoo import hub\nprint(hub.pin('hf://datasets/ada/tiny{}'))"
    for suffix, commit in [("", tags["v2"]), ("@v1", tags["v1"]), (f"@{tags['v1']}", tags["v1"])]:
        done = client.python(code.format(suffix), token=None)
        assert done.out.strip() == f"hf://datasets/ada/tiny@{commit}/tiny.zarr", done.err
        assert client.python(code.format(f"@{commit}/tiny.zarr")).out == done.out


@pytest.mark.slow
def test_one_finished_seed_of_two_is_a_store_of_one(hub: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    one, half = tmp_path / "one.zarr", tmp_path / "half.zarr"
    build(small(seeds=1), one, in_process=True, quiet=True)
    build(small(seeds=1), half, in_process=True, quiet=True)
    from inrzoo.store import grow

    grow(half, 2, None)
    before = store_bytes(half)
    done = client.inrzoo("push", half, "ada/tiny")
    assert done.code == 2 and "1 finished seed(s) with --partial" in done.err and not hub.repos
    assert "v1" in push(client, half, "--partial")
    assert store_bytes(half) == before
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(one)
    assert "v2" in push(client, finished)


@pytest.mark.slow
def test_a_pull_request_waits_for_its_owner(pushed: Hub, client: Client, larger: Path) -> None:
    repo = pushed.repos["ada/tiny"]
    main = repo.refs["main"]
    done = client.inrzoo("push", larger, "ada/tiny", "--create-pr", token="hf_bob")
    assert done.code == 0 and "discussions/1" in done.out, done.err
    assert repo.refs["main"] == main and list(repo.tags) == ["v1"]
    again = client.inrzoo("push", larger, "ada/tiny", "--create-pr", "--json", token="hf_bob")
    assert json.loads(again.out)["changed"] is False and list(repo.titles) == [1]
    repo.refs["main"] = repo.refs["refs/pr/1"]  # merged
    pushed.uploads.clear()
    assert "v2" in push(client, larger) and not pushed.uploads
    assert repo.tags["v2"] == repo.refs["main"]


def test_a_branch_gets_no_version(hub: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    assert "no version" in push(client, finished, "--revision", "trial")
    repo = hub.repos["ada/tiny"]
    assert not repo.tags and len(hub.tree("ada/tiny")) == 1
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 2
    assert client.inrzoo("pull", "ada/tiny", "--revision", "trial", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(finished)


def test_private_stays_private(hub: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    push(client, finished, "--private")
    assert hub.repos["ada/tiny"].private
    assert client.inrzoo("pull", "ada/tiny", token="hf_bob", cwd=tmp_path).code == 2
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    hub.repos["ada/tiny"].private = False
    done = client.inrzoo("push", finished, "ada/tiny", "--private")
    assert done.code == 2 and "is already public" in done.err


BATCHES = """
import inrzoo, numpy
batches = list(inrzoo.load({path!r}, split="train", streaming=True, shuffle=True, batch_size=5, seed=3))
numpy.savez({out!r}, *[numpy.concatenate([getattr(batch, key).numpy() for batch in batches])
                       for key in ("weights", "label", "signal", "seed", "step")])
"""


def test_inrzoo_streams_the_same_batches(pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path) -> None:
    for path, out in (("hf://datasets/ada/tiny", "remote.npz"), (str(sharded), "local.npz")):
        done = client.python(BATCHES.format(path=path, out=out), token=None, cwd=tmp_path)
        assert done.code == 0, done.err
    with np.load(tmp_path / "remote.npz") as remote, np.load(tmp_path / "local.npz") as local:
        assert len(remote.files) == 5 and len(remote["arr_0"]) > 20
        for key in remote.files:
            np.testing.assert_array_equal(remote[key], local[key])


def test_what_the_card_says_runs(pushed: Hub, client: Client, tmp_path: Path) -> None:
    shown = re.findall(r"^```(bash|python)\n(.*?)^```", pushed.tree("ada/tiny")["README.md"].decode(), re.M | re.S)
    ran = 0
    for language, content in shown:
        if language == "bash" and content.startswith("inrzoo pull"):
            done = client.inrzoo(*content.split()[1:], cwd=tmp_path)
        elif language == "python":
            done = client.python(content, token=None, cwd=tmp_path)
        else:
            continue
        assert done.code == 0, f"{content}\n{done.err}"
        ran += 1
    assert ran == 4
