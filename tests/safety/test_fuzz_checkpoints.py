"""Checkpoints and runs that somebody else trained, and that were damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cases import Sandbox, fuzz
from hostile import changed, damaged
from hypothesis import strategies as st

from inrzoo import tasks
from inrzoo.tasks.training.options import make_task

WORDS = {"encoder": "flat_mlp", "steps": "2", "validate_every": "1", "batch_size": "2"}


@pytest.fixture(scope="session")
def run_folder(whole_store: Path) -> Path:
    """A run of two steps, stopped after the first."""
    out = whole_store.parent / "run"
    task = make_task("classify", WORDS, {})
    tasks.train(task, whole_store, out, device="cpu", quiet=True, stop_after=1)
    return out


@pytest.fixture
def target(whole_store: Path, run_folder: Path, curves: None) -> tuple[Path, Path]:
    return whole_store, run_folder


def tampered(data: Any, content: bytes) -> bytes:
    """The JSON in a file's metadata changed as a tree, its tensors renamed or reshaped; or just bytes."""
    how = data.draw(st.sampled_from(("bytes", "header", "words", "words", "words")))
    if how == "bytes":
        return data.draw(damaged(content))
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    if how == "header":
        header = data.draw(changed(header))
    else:
        inside = data.draw(changed(json.loads(header["__metadata__"]["inrzoo"]), 3))
        header["__metadata__"]["inrzoo"] = json.dumps(inside)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


@fuzz(st.data(), slow=300)
def test_checkpoints(data: Any, sandbox: Sandbox, target: tuple[Path, Path]) -> None:
    store, run = target
    path = sandbox.given / "best.safetensors"
    path.write_bytes(tampered(data, (run / "best.safetensors").read_bytes()))
    verb = data.draw(st.sampled_from((["evaluate", path, store], ["embed", store, path, "--out", "a.parquet"])))
    sandbox.run(*verb, "--device", "cpu")


@fuzz(st.data(), slow=200, quick=4)
def test_runs(data: Any, sandbox: Sandbox, target: tuple[Path, Path]) -> None:
    """A run that is continued."""
    store, run = target
    out = Path(shutil.copytree(run, sandbox.made / "run"))
    path = data.draw(
        st.sampled_from(sorted(path for path in out.iterdir() if path.suffix in (".safetensors", ".jsonl", ".json")))
    )
    content = path.read_bytes()
    path.write_bytes(tampered(data, content) if path.suffix == ".safetensors" else data.draw(damaged(content)))
    sandbox.run(
        "train",
        "classify",
        store,
        "--out",
        out,
        "--device",
        "cpu",
        "--encoder",
        "flat_mlp",
        "--steps",
        "2",
        "--validate-every",
        "1",
        "--batch-size",
        "2",
    )
