"""Weights that somebody else wrote: folders of `.pth`, their splits and descriptions, `.safetensors` to start from."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import Sandbox, fuzz
from hostile import damaged, json_file, scalars, words
from hypothesis import strategies as st
from safetensors.numpy import save

from inrzoo.builder.inits import read_init


@pytest.fixture
def target(whole_store: Path) -> Path:
    """A folder of state dicts."""
    return whole_store.parent / "dicts"


def import_(sandbox: Sandbox, folder: Path) -> None:
    sandbox.run("import", folder, "--out", "a.zarr", "--grid", "8x8")
    made = {path.name for path in sandbox.made.iterdir()}
    assert made <= {"a.zarr"}, made


@fuzz(st.data(), slow=800)
def test_state_dict_bytes(data: Any, sandbox: Sandbox, target: Path) -> None:
    folder = Path(shutil.copytree(target, sandbox.given / "dicts"))
    path = data.draw(st.sampled_from(sorted(folder.rglob("*.pth"))[:3]))
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    import_(sandbox, folder)


@fuzz(st.data(), slow=800)
def test_state_dict_contents(data: Any, sandbox: Sandbox, target: Path) -> None:
    """Files that torch can read and that are not what they should be; pickles inside and out."""
    folder = Path(shutil.copytree(target, sandbox.given / "dicts"))
    path = data.draw(st.sampled_from(sorted(folder.rglob("*.pth"))[:3]))
    state: Any = dict(torch.load(path, weights_only=True))
    key = data.draw(st.sampled_from(sorted(state)))
    tensor = state[key]
    how = data.draw(st.sampled_from(("key", "value", "shape", "stride", "dtype", "label", "whole", "pickle", "nan")))
    if how == "key":
        state[data.draw(words)] = state.pop(key)
    elif how == "value":
        state[key] = data.draw(st.one_of(scalars, st.just(set()), st.just([tensor]), st.just({"a": tensor})))
    elif how == "shape":
        state[key] = torch.zeros(data.draw(st.lists(st.integers(0, 5), max_size=5)))
    elif how == "stride":
        state[key] = torch.zeros(1).as_strided((10**6, 10**5), (0, 0))
    elif how == "dtype":
        kinds = (torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.int64, torch.bool)
        state[key] = data.draw(st.sampled_from((*(tensor.to(kind) for kind in kinds), tensor.to_sparse())))
    elif how == "label":
        state["label"] = data.draw(st.one_of(scalars, st.just(torch.zeros(2)), st.just(torch.tensor(3))))
    elif how == "whole":
        state = data.draw(st.one_of(scalars, st.just([tensor]), st.just(torch.nn.Linear(1, 1).state_dict())))
    elif how == "nan":
        state[key] = torch.full_like(tensor, float(data.draw(st.sampled_from(("nan", "inf", "-inf")))))
    if how == "pickle":
        path.write_bytes(
            pickle.dumps({name: value.numpy() for name, value in state.items()}, data.draw(st.integers(0, 5)))
        )
    else:
        torch.save(state, path)
    import_(sandbox, folder)


@fuzz(st.data(), slow=800)
def test_descriptions(data: Any, sandbox: Sandbox, target: Path) -> None:
    """`inrzoo.json` and the splits."""
    folder = Path(shutil.copytree(target, sandbox.given / "dicts"))
    path = data.draw(st.sampled_from(sorted(folder.glob("*.json"))))
    path.write_bytes(data.draw(json_file(path.read_bytes())))
    import_(sandbox, folder)


@fuzz(st.data(), slow=500)
def test_starts(data: Any, sandbox: Sandbox, target: Path) -> None:
    """`--init FILE.safetensors`."""
    content = save({"init": np.zeros((2, 5), np.float32)}, {"a": "b"})
    length = int.from_bytes(content[:8], "little")
    if data.draw(st.booleans()):
        header = data.draw(json_file(content[8 : 8 + length]))
        content = len(header).to_bytes(8, "little") + header + content[8 + length :]
    else:
        content = data.draw(damaged(content))
    (sandbox.given / "a.safetensors").write_bytes(content)
    found = sandbox.call(lambda: read_init(sandbox.given / "a.safetensors"))
    assert found is None or np.isfinite(found).all()
