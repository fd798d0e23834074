"""What `pip install inrzoo` brings reads, renders, streams and shows stores; what needs more says it in one line.

The environment of the tests has every extra. Here a process sees the packages alone that an install would bring: the
requirements in pyproject.toml and theirs.
"""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from blocking import PROJECT, ROOT, answers, not_in, run

from inrzoo import extras
from inrzoo.errors import MissingPackageError

READING = """
import inrzoo
store = inrzoo.open_store("tiny.zarr")
assert store.render(signal=0, seed=0).shape[1] == store.channels
stream = inrzoo.load("tiny.zarr", split="train", streaming=True, shuffle=True, batch_size=4)
assert sum(len(batch.weights) for batch in stream) == len(stream.dataset)
from inrzoo.viewer import make_server
make_server(store, 0).server_close()
"""
WITHOUT_EXTRAS = [
    (["list"], "siren"),
    (["show", "siren"], "omega_0"),
    (["info", "tiny.zarr"], "complete"),
    (["verify", "tiny.zarr"], "is verified"),
    (["verify", "tiny.zarr", "--refit", "1"], "equal to the bit"),
    (["diff", "tiny.zarr", "tiny.zarr"], "are the same"),
    (["render", "tiny.zarr", "--signal", "0", "--out", "a.png"], "pixels"),
    (["site", "tiny.zarr", "--out", "site"], "a page of"),
    (["export", "tiny.zarr", "--format", "safetensors", "--signal", "0", "--out", "a.safetensors"], "safetensors"),
]
NEEDS_AN_EXTRA = [
    (["build", "digits", "--limit", "2", "--out", "x.zarr"], "building a store needs dask", "build"),
    (["build", "digits", "--limit", "2", "--out", "x.zarr", "--plan"], "the source digits needs sklearn", "build"),
    (["tune", "digits"], "the source digits needs sklearn", "build"),
    (["stats", "tiny.zarr"], "computing statistics needs dask", "build"),
    (["preview", "tiny.zarr"], "drawing a picture of a store needs matplotlib", "build"),
    (["import", "none", "--out", "x.zarr"], "importing a folder needs dask", "build"),
    (["push", "tiny.zarr", "user/name"], "the Hub needs huggingface_hub", "hub"),
    (["pull", "user/name"], "the Hub needs huggingface_hub", "hub"),
    (["list", "--hub"], "the Hub needs huggingface_hub", "hub"),
    (["info", "hf://datasets/user/name"], "needs huggingface_hub", "hub"),
    (["export", "tiny.zarr", "--format", "parquet", "--out", "p"], "writing Parquet needs pyarrow", "hub"),
    (["export", "tiny.zarr", "--format", "fit-a-nef", "--out", "n"], "writing HDF5 files needs h5py", "hdf5"),
    (["train", "classify", "tiny.zarr", "--encoder", "flat_mlp"], "training needs matplotlib", "train"),
    (["generate", "run", "--count", "1", "--out", "x.zarr"], "generating a store needs dask", "build"),
    (["embed", "tiny.zarr", "run", "--out", "f.parquet"], "writing features needs pyarrow", "train"),
    (["info", "s3://bucket/x.zarr"], "s3://bucket needs obstore", "s3"),
]


@pytest.fixture
def folder(finished_small: Path, tmp_path: Path) -> Path:
    """A folder with a copy of a finished store."""
    shutil.copytree(finished_small, tmp_path / "tiny.zarr")
    return tmp_path


@pytest.mark.slow
def test_the_core_reads_and_says_what_more_needs(folder: Path) -> None:
    core = not_in()
    assert {"dask", "ray", "sklearn", "pyarrow", "matplotlib", "huggingface_hub", "datasets", "xarray"} <= core
    before = {path.name for path in folder.iterdir()}
    words = [*(words for words, _ in WITHOUT_EXTRAS), *(words for words, _, _ in NEEDS_AN_EXTRA)]
    said = answers(words, core, folder)
    for answer, (command, expected) in zip(said, WITHOUT_EXTRAS, strict=False):
        assert answer.endswith("= 0") and expected in answer, (command, answer)
    for answer, (command, expected, extra) in zip(said[len(WITHOUT_EXTRAS) :], NEEDS_AN_EXTRA, strict=True):
        line, code = answer.splitlines()
        assert code == "= 2" and line.startswith("inrzoo: "), (command, answer)
        assert line.endswith(f"{expected}: pip install 'inrzoo[{extra}]'"), (command, answer)
    made = {path.name for path in folder.iterdir()} - before
    assert made <= {"a.png", "a.safetensors", "site", "sitecustomize.py", "__pycache__", ".tiny.zarr.lock"}
    assert run(READING, core, folder) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "commands"),
    [
        (
            "build",
            [
                ["build", "digits", "--limit", "4", "--steps", "3", "--seeds", "2", "--out", "x.zarr"],
                ["build", "digits", "--limit", "4", "--steps", "3", "--out", "y.zarr", "--in-process"],
                ["preview", "x.zarr", "--count", "2"],
                ["stats", "x.zarr"],
            ],
        ),
        ("train", [["train", "classify", "tiny.zarr", "--encoder", "flat_mlp", "--batch-size", "4", "--steps", "2"]]),
        ("hub", [["export", "tiny.zarr", "--format", "parquet", "--out", "p"], ["list", "--hub", "--help"]]),
    ],
)
def test_an_extra_brings_all_that_its_commands_need(extra: str, commands: list[Sequence[str]], folder: Path) -> None:
    for command, answer in zip(commands, answers(commands, not_in(extra), folder), strict=True):
        assert answer.endswith("= 0"), (command, answer)


@pytest.mark.slow
def test_the_rooms_import_with_their_extra(folder: Path) -> None:
    rooms = {"hub": ("hub", "interchange"), "train": ("tasks",), "build": ("builder", "sources", "preview")}
    for extra, names in rooms.items():
        files = [path for name in names for path in sorted((ROOT / "inrzoo" / name).rglob("*.py"))]
        modules = [str(path.relative_to(ROOT).with_suffix("")).replace("/", ".") for path in files]
        modules = [name.removesuffix(".__init__") for name in modules if extra == "hub" or "parquet" not in name]
        program = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
        assert run(program, not_in(extra), folder) == "", extra


def test_the_hints_of_builds(tmp_path: Path) -> None:
    (tmp_path / "hdf5.nc").write_bytes(b"\x89HDF\r\n\x1a\n")
    hints = [
        (["build", "digits", "--limit", "2", "--out", "s3://bucket/x.zarr"], "inrzoo[s3]"),
        (["verify", "s3://bucket/x.zarr"], "inrzoo[s3]"),
        (["build", "digits", "--limit", "2", "--out", "x.zarr", "--engine", "triton"], "triton"),
        (["build", "weather", "--source", "hdf5.nc", "--out", "x.zarr"], "inrzoo[fields]"),
    ]
    said = answers([words for words, _ in hints], {"obstore", "triton", "h5py"}, tmp_path)
    for answer, (words, hint) in zip(said, hints, strict=True):
        line, code = answer.splitlines()
        assert code == "= 2" and hint in line and line.startswith("inrzoo: "), (words, answer)


def test_a_package_that_cannot_be_imported_is_told_from_one_that_is_absent() -> None:
    absent = r"sounds needs no_such_package: pip install 'inrzoo\[audio\]'"
    with pytest.raises(MissingPackageError, match=absent), extras.needed("audio", "reading sounds"):
        importlib.import_module("no_such_package.part")
    broken = r"a package that cannot be imported \(libsndfile not found\): pip"
    with pytest.raises(MissingPackageError, match=broken), extras.needed("audio", "reading sounds"):
        raise OSError("libsndfile\n not found")
    # A bug of ours is no missing package.
    with pytest.raises(ModuleNotFoundError, match="no_such_room"), extras.needed("audio", "reading sounds"):
        importlib.import_module("inrzoo.no_such_room")


def test_every_extra_is_named_by_the_helper_and_contained_in_all() -> None:
    declared = PROJECT["optional-dependencies"]
    named = {*get_args(extras.Extra)}
    assert named == declared.keys() - {"all", "dev", "docs"}
    [everything] = declared["all"]
    assert everything == f"inrzoo[{','.join(sorted(named))}]"
    assert any(need.startswith("inrzoo[all") for need in declared["dev"])


def test_commands_that_install_are_spelled_in_one_place() -> None:
    spelled = [
        path.name for path in (ROOT / "inrzoo").rglob("*.py") if "pip install 'inrzoo" in path.read_text("utf-8")
    ]
    assert spelled == ["extras.py"]


def test_importing_inrzoo_imports_nothing_of_others() -> None:
    """An import of nothing but inrzoo takes milliseconds."""
    program = "import sys, json, inrzoo; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {*json.loads(done.stdout)} - sys.stdlib_module_names == {"__main__", "inrzoo"}
    assert not re.search("numpy|torch|zarr", done.stdout)
