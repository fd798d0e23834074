"""Stores that somebody else made, or that were damaged: attributes, metadata, data, and builds that are half done."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cases import SMALL, Sandbox, fuzz
from hostile import damaged, json_file
from hypothesis import strategies as st
from tiny_store import TINY, tiny

import inrzoo as package
from inrzoo.builder import build
from inrzoo.builder.preparation import Request, prepare
from inrzoo.builder.worker import fit_block
from inrzoo.store import write_block

VERBS = (
    ["info"],
    ["info", "--json"],
    ["verify"],
    ["preview", "--count", "2", "--out", "a.png"],
    ["export", "--format", "parquet", "--out", "rows"],
    ["export", "--format", "safetensors", "--signal", "0:2", "--out", "a.safetensors"],
    ["export", "--format", "state-dicts", "--convention", "nfn", "--out", "dicts"],
)
TINY_WORDS = {**TINY, **{key.replace("__", "."): value for key, value in SMALL.items()}}
CHANGING = (["stats"], ["verify", "--repair"], ["verify", "--refit", "1"])


@pytest.fixture
def target(whole_store: Path) -> Path:
    return whole_store


def look(data: Any, sandbox: Sandbox, store: Path) -> None:
    verb, *words = data.draw(st.sampled_from(VERBS + CHANGING))
    changing = [verb, *words] in CHANGING
    sandbox.run(verb, store, *words, writes=(sandbox.given,) if changing else ())


@fuzz(st.data(), slow=500)
def test_attributes(data: Any, sandbox: Sandbox, target: Path) -> None:
    store = Path(shutil.copytree(target, sandbox.given / "a.zarr"))
    (store / "zarr.json").write_bytes(data.draw(json_file((store / "zarr.json").read_bytes())))
    look(data, sandbox, store)


@fuzz(st.data(), slow=300)
def test_files(data: Any, sandbox: Sandbox, target: Path) -> None:
    """Any file of the store: metadata of arrays as trees, chunks as bytes; or it is gone, or something else."""
    store = Path(shutil.copytree(target, sandbox.given / "a.zarr"))
    files = sorted(path for path in store.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    kind = data.draw(st.sampled_from(("changed", "changed", "changed", "changed", "gone", "folder", "empty")))
    content = path.read_bytes()
    if kind == "changed":
        path.write_bytes(data.draw(json_file(content) if path.suffix == ".json" else damaged(content)))
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "empty":
            path.touch()
    look(data, sandbox, store)


@fuzz(st.data(), slow=200)
def test_loading(data: Any, sandbox: Sandbox, target: Path) -> None:
    """The loaders, from a folder and from a URL."""
    store = Path(shutil.copytree(target, sandbox.given / "a.zarr"))
    path = data.draw(
        st.sampled_from([store / "zarr.json", *sorted(path for path in store.rglob("*") if path.is_file())])
    )
    path.write_bytes(data.draw(json_file(path.read_bytes()) if path.suffix == ".json" else damaged(path.read_bytes())))
    where = data.draw(st.sampled_from((str(store), store.as_uri())))
    streaming = data.draw(st.booleans())

    def read() -> None:
        if streaming:
            next(iter(package.load(where, streaming=True, batch_size=4, **remote)))
        else:
            package.load(where, **remote)[0:4]

    remote = {"retries": 0} if "://" in where else {}
    sandbox.call(read, writes=(Path(os.environ["INRZOO_CACHE"]),))


def half_built_of(whole: Path) -> Path:
    """A store beside the whole one, of which all blocks but one are committed and none is published."""
    path = whole.parent / "half.zarr"
    if path.exists():
        return path
    store = prepare(Request(tiny(**SMALL), path), lambda done, total: None)
    for block in store.blocks()[:-1]:
        write_block(path, block, *fit_block(store, block, "cpu"))
    build(tiny(**SMALL), Path(shutil.copytree(path, path.parent / "warm.zarr")), in_process=True, quiet=True)
    return path


@fuzz(st.data(), slow=150)
def test_half_built(data: Any, sandbox: Sandbox, target: Path) -> None:
    """A build is continued, whatever has happened to what it had done."""
    store = Path(shutil.copytree(half_built_of(target), sandbox.made / "a.zarr"))
    path = data.draw(st.sampled_from(sorted(path for path in store.rglob("*") if path.is_file())))
    content = path.read_bytes()
    path.write_bytes(data.draw(json_file(content) if path.suffix == ".json" else damaged(content)))
    if data.draw(st.booleans()):
        sandbox.run("info", store)
    words = [part for key, value in TINY_WORDS.items() for part in ("--set", f"{key}={value}")]
    sandbox.run("build", "digits", "--out", store, "--in-process", *words, "--device", "cpu")
