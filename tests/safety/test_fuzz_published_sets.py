"""Sets that other projects wrote: HDF5, pickles, checkpoints, and the JSON, TOML and CSV beside them."""

import json
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import Sandbox, fuzz
from foreign_writers import Functa, nef_folder, shape_folder, zoo_folder, zoo_state
from hostile import damaged, json_file
from hypothesis import strategies as st

NEFS = ("--split-points", "3,5", "--coords", "range=-1,1", "--grid", "4x4")
MINE = """
grid = [4, 4]
inr = { name = "siren", in_features = 2, out_features = 3, hidden_features = 4, hidden_layers = 1 }
tensors = { "weight_{i}" = "seq.{i}.weight", "bias_{i}" = "seq.{i}.bias" }
values = { range = [0.0, 1.0] }
"""


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a set of each kind."""
    home = tmp_path_factory.mktemp("published")
    nef_folder(home / "nefs")
    (home / "nefs" / "cfg.json").write_text(json.dumps({"dataset": {"name": "other"}}))
    zoo_folder(home / "zoo", [1, 2])
    shape_folder(home / "shapes", True)
    (home / "functa").mkdir()
    Functa(depth=3, scale=True).write(home / "functa")
    (home / "mine" / "a").mkdir(parents=True)
    for number in range(3):
        torch.save(OrderedDict(zoo_state(number)), home / "mine" / "a" / f"{number}.pth")
    (home / "mine" / "mine.toml").write_text(MINE)
    (home / "mine" / "splits.csv").write_text("id,split,label\n0,train,1\n1,train,0\n2,test,7\n")
    (home / "mine" / "splits.json").write_text(json.dumps({"train": ["0", "1"], "test": ["a/2.pth"]}))
    return home


def import_(sandbox: Sandbox, kind: str, folder: Path, splits: str = "splits.csv") -> None:
    words: dict[str, tuple[object, ...]] = {
        "nefs": (folder, *NEFS),
        "zoo": (folder, "--grid", "4x4"),
        "shapes": (folder, "--grid", "3x3x3"),
        "functa": (folder / "celeba_modulations_5_latents.npz", "--base", folder / "celeba_params_5_latents.npz"),
        "mine": (folder, "--inr", folder / "mine.toml", "--pattern", "{label}/{id}.pth", "--splits", folder / splits),
    }
    sandbox.run("import", *words[kind], "--out", "a.zarr")
    made = {path.name for path in sandbox.made.iterdir()}
    assert made <= {"a.zarr"}, made


@fuzz(st.data(), slow=1200)
def test_bytes_of_published_sets(data: Any, sandbox: Sandbox, target: Path) -> None:
    kind = data.draw(st.sampled_from(("nefs", "nefs", "shapes", "functa", "functa", "zoo", "mine")))
    folder = Path(shutil.copytree(target / kind, sandbox.given / kind))
    path = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    import_(sandbox, kind, folder, "splits.json" if path.name == "splits.json" else "splits.csv")


@fuzz(st.data(), slow=400)
def test_descriptions_of_published_sets(data: Any, sandbox: Sandbox, target: Path) -> None:
    kind, name = data.draw(
        st.sampled_from((("nefs", "nef.json"), ("nefs", "cfg.json"), ("zoo", "0_2.json"), ("mine", "splits.json")))
    )
    folder = Path(shutil.copytree(target / kind, sandbox.given / kind))
    (folder / name).write_bytes(data.draw(json_file((folder / name).read_bytes())))
    import_(sandbox, kind, folder, "splits.json")
