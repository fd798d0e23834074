"""Files from elsewhere are data. The package has no way to run it, and planted programs do not run."""

import ast
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numcodecs.pickles
import numpy as np
import pyarrow as pa
import pytest
import torch
import zarr
from test_fuzz_archives import IDX, PICTURES, rows

import inrzoo
from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.interchange import import_state_dicts
from inrzoo.store import open_store
from inrzoo.store.blocks import Block, record_path

PACKAGE = Path(inrzoo.__file__).parent
BANNED_MODULES = {
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "runpy",
    "code",
    "codeop",
    "pty",
    "tarfile",
    "yaml",
}
BANNED_CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
BANNED_ATTRIBUTES = {
    "extractall",
    "extract",
    "unpack_archive",
    "system",
    "popen",
    "unsafe_load",
    "full_load",
    "Unpickler",
}


def ways_to_run(source: str) -> list[str]:
    """List the calls in a file that could run data as a program, or unpack an archive to the disk."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        found += [f"imports {name}" for name in names if name.split(".")[0] in BANNED_MODULES]
        found += [f"imports {name}" for name in names if name.startswith("pickle.")]
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "pickle" and node.attr != "UnpicklingError":
                found.append(f"uses pickle.{node.attr}")
            if node.attr in BANNED_ATTRIBUTES:
                found.append(f"uses .{node.attr}")
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called in BANNED_CALLS:
                found.append(f"calls {called}")
            if called.endswith("torch.load") and given.get("weights_only") != "True":
                found.append("calls torch.load without weights_only=True")
            if called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
                found.append("calls np.load without allow_pickle=False")
            if (
                given.get("allow_pickle", "False") != "False"
                or "trust_remote_code" in given
                or given.get("shell", "False") != "False"
            ):
                found.append(f"{called} with {given}")
    return found


def test_the_package_has_no_way_to_run_data() -> None:
    found = {str(path): ways for path in PACKAGE.rglob("*.py") if (ways := ways_to_run(path.read_text()))}
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle; pickle.loads(b'')",
        "from pickle import loads",
        "eval('1')",
        "exec('1')",
        "import yaml",
        "from yaml import load",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "load_dataset(x, trust_remote_code=True)",
        "archive.extractall()",
        "import tarfile",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "import joblib",
        "__import__(name)",
    ],
)
def test_a_planted_way_is_found(line: str) -> None:
    assert ways_to_run(line)


class Planted:
    """Whoever unpickles this runs a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """A file that appears where something planted has run; checked at the end."""
    path = tmp_path / "executed"
    pickle.loads(pickle.dumps(Planted(path)))
    assert path.exists(), "what is planted works"
    path.unlink()
    yield path
    assert not path.exists()


def test_state_dicts(mark: Path, whole_store: Path, tmp_path: Path) -> None:
    """As a bare pickle, inside torch's zip, and beside honest tensors."""
    for number, write in enumerate((_bare, _torch, _beside)):
        folder = Path(shutil.copytree(whole_store.parent / "dicts", tmp_path / f"dicts{number}"))
        path = sorted(folder.rglob("*.pth"))[0]
        write(path, Planted(mark))
        with pytest.raises(InrzooError, match="not unpickled"):
            import_state_dicts(folder, tmp_path / "a.zarr", grid=(8, 8))
        assert not (tmp_path / "a.zarr").exists()


def _bare(path: Path, planted: Planted) -> None:
    path.write_bytes(pickle.dumps({"net.0.linear.weight": planted}))


def _torch(path: Path, planted: Planted) -> None:
    torch.save(planted, path)


def _beside(path: Path, planted: Planted) -> None:
    torch.save({**torch.load(path, weights_only=True), "label": planted}, path)


def test_arrays_of_a_store(mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """zarr format 2 has a codec that unpickles: it runs when zarr reads such a store, and not when inrzoo does."""
    monkeypatch.setattr(
        numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False
    )  # older ones have no such lock
    path = tmp_path / "a.zarr"
    attributes = {
        "format": 1,
        "partition": {"chunk_rows": 1, "block_rows": 1, "shard_rows": 1},
        "published_seeds": [0],
        "complete": True,
        "checksums": {},
        "snapshots": [1],
    }
    path.mkdir()
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps(attributes))
    for name, shape in (("weights", [1, 1, 1, 1]), ("signal_id", [1])):
        (path / name).mkdir()
        described = {
            "zarr_format": 2,
            "shape": shape,
            "chunks": shape,
            "dtype": "|O",
            "compressor": None,
            "fill_value": "",
            "order": "C",
            "filters": [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 4}],
        }
        (path / name / ".zarray").write_text(json.dumps(described))
        (path / name / ".".join("0" * len(shape))).write_bytes(pickle.dumps(Planted(mark)))
    with pytest.raises(Exception):  # noqa: B017 - it has run by then
        zarr.open_group(path, mode="r")["signal_id"][:]
    assert mark.exists()
    mark.unlink()
    with pytest.raises(InrzooError, match="no store at"):
        _ = open_store(path).signal_ids


@pytest.mark.parametrize("codec", ["numcodecs.pickle", "numcodecs.zlib", "my.module.Codec"])
def test_codecs_that_are_not_known(codec: str, whole_store: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(whole_store, tmp_path / "a.zarr"))
    described = json.loads((path / "psnr" / "zarr.json").read_text())
    described["codecs"].append({"name": codec, "configuration": {}})
    (path / "psnr" / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(InrzooError, match="damaged"):
        _ = open_store(path).psnr


def test_commit_records(mark: Path, whole_store: Path, tmp_path: Path) -> None:
    """A record is an .npz; arrays of objects in it would be pickles."""
    from inrzoo.store import unpublish

    path = Path(shutil.copytree(whole_store, tmp_path / "a.zarr"))
    unpublish(path, 0, set())
    np.savez(record_path(path, Block(0, 0)), **{"psnr": np.array([Planted(mark)], dtype=object)})
    with pytest.raises(InrzooError, match="damaged"):
        _ = open_store(path).psnr


def test_npy_where_idx_is_expected(mark: Path, tmp_path: Path) -> None:
    for name, content in IDX.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "a.npy", np.array([Planted(mark)], dtype=object), allow_pickle=True)
    (tmp_path / "a.npy").rename(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(InrzooError, match="not an IDX file"):
        registry.make("sources", {"name": "idx_images"}).read(tmp_path)


def test_parquet(mark: Path, tmp_path: Path) -> None:
    """A type of Arrow's that old versions unpickled, and a cell that names a file of this machine."""
    table = pa.ipc.open_stream  # its reader knows no Python types any more
    assert table is not None
    schema = pa.schema(
        [
            pa.field(
                "image",
                pa.binary(),
                metadata={
                    b"ARROW:extension:name": b"arrow.py_extension_type",
                    b"ARROW:extension:metadata": pickle.dumps(Planted(mark)),
                },
            )
        ]
    )
    pa.parquet.write_table(pa.table([pa.array([b"x"])], schema=schema), tmp_path / "train-00000-of-00001.parquet")
    with pytest.raises(InrzooError):
        registry.make("sources", {"name": "hub_images", "repo": "a/b", "splits": {"train": "train"}}).read(tmp_path)


def test_a_table_cannot_name_pictures_of_this_machine(tmp_path: Path) -> None:
    """Else a data set from the Hub could have somebody's own photograph fitted and published."""
    secret = tmp_path / "photograph.png"
    secret.write_bytes(PICTURES["PNG"])
    folder = tmp_path / "set"
    folder.mkdir()
    for name in (str(secret), "../photograph.png"):
        content = rows([{"bytes": None, "path": name}] * 2, [0, 1])
        (folder / "train-00000-of-00001.parquet").write_bytes(content)
        with pytest.raises(InrzooError, match="no image in the table"):
            signals = registry.make(
                "sources", {"name": "hub_images", "repo": "a/b", "splits": {"train": "train"}}
            ).read(folder)
            list(signals.values(range(2)))
