"""Some INRs of a store as one safetensors file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from inrzoo.interchange import export_safetensors
from inrzoo.store import Store

CommandLine = Callable[..., tuple[int, str, str]]


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.parametrize(
    "signals, index", [("7", 7), ("-1", -1), ("2:5", slice(2, 5)), (":", slice(None)), ("40:", slice(40, None))]
)
def test_tensors_join_to_the_weights(
    store: Store, finished: Path, tmp_path: Path, signals: str, index: int | slice
) -> None:
    count = export_safetensors(finished, tmp_path / "a.safetensors", signals, seed=1)
    tensors, metadata = read(tmp_path / "a.safetensors")
    expected = store.weights[index, 1, 0]
    np.testing.assert_array_equal(store.layout.join(tensors), expected)
    rows = np.atleast_1d(np.arange(48)[index])
    assert count == len(rows) and json.loads(metadata["signals"]) == rows.tolist()
    np.testing.assert_array_equal(np.float32(json.loads(metadata["psnr"])), store.psnr[rows, 1, 0])
    assert json.loads(metadata["inr"]) == store.info.inr and metadata["fingerprint"]


def test_the_command_line(finished: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    base = ["export", finished, "--format", "safetensors", "--out", tmp_path / "a.safetensors"]
    code, out, _ = inrzoo(*base, "--signal", "0:3")
    assert code == 0 and "3 INRs as safetensors" in out
    before = (tmp_path / "a.safetensors").read_bytes()
    for words, said in (
        (["--signal", "1"], "exists"),
        ([], "needs --signal"),
        (["--signal", "99", "--out", tmp_path / "b"], "no signal 99"),
        (["--signal", "5:5", "--out", tmp_path / "b"], "no signal 5:5"),
        (["--signal", "x", "--out", tmp_path / "b"], "no signal x"),
        (["--signal", "1:2:3:4", "--out", tmp_path / "b"], "no signal 1:2:3:4"),
        (["--signal", "1", "--seed", "5", "--out", tmp_path / "b"], "no seed 5"),
        (["--signal", "1", "--step", "7", "--out", tmp_path / "b"], "no view of 7 steps"),
    ):
        code, out, err = inrzoo(*base, *words)
        assert (code, out) == (2, "") and said in err and len(err.splitlines()) == 1
    assert (tmp_path / "a.safetensors").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
