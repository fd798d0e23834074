"""A disk that takes no more: one line from every command, and nothing that was there is lost."""

import errno
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_store import small, store_bytes

from inrzoo.builder import build
from inrzoo.interchange import export_state_dicts

COMMANDS = {
    "build": ["build", "digits", "--limit", "2", "--steps", "1", "--out", "{folder}/made", "--in-process"],
    "build --overwrite": ["build", "digits", "--limit", "2", "--steps", "1", "--out", "{store}", "--overwrite"],
    "stats": ["stats", "{store}"],
    "verify --repair": ["verify", "{damaged}", "--repair"],
    "preview": ["preview", "{store}", "--out", "{folder}/made"],
    "render": ["render", "{store}", "--signal", "0", "--out", "{folder}/made.png"],
    "export state-dicts": ["export", "{store}", "--convention", "sitzmann", "--out", "{folder}/made"],
    "export parquet": ["export", "{store}", "--format", "parquet", "--out", "{folder}/made"],
    "export safetensors": ["export", "{store}", "--format", "safetensors", "--signal", "0:5", "--out", "{folder}/made"],
    "import": ["import", "{folder}/exported", "--out", "{folder}/made"],
}


@contextmanager
def no_more_bytes() -> Iterator[None]:
    """No file may grow: the system refuses every write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def exportable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose INRs readers of a convention see as they are."""
    path = tmp_path_factory.mktemp("exportable") / "tiny.zarr"
    build(small(seeds=1, inr__omega_0=30.0), path, in_process=True, quiet=True)
    return path


@pytest.fixture
def words(exportable: Path, tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    """A command's words, with what they name made."""
    places = {"folder": tmp_path, "store": tmp_path / "store.zarr", "damaged": tmp_path / "damaged.zarr"}
    for place in (places["store"], places["damaged"]):
        shutil.copytree(exportable, place)
    shard = places["damaged"] / "weights" / "c" / "0" / "0" / "0" / "0"
    shard.write_bytes(b"\0" + shard.read_bytes()[1:])
    if request.param == "import":
        export_state_dicts(exportable, tmp_path / "exported", "sitzmann", "0", None)
    return [word.format(**places) for word in COMMANDS[request.param]]


@pytest.mark.parametrize("words", COMMANDS, indirect=True)
def test_a_disk_that_takes_no_more_is_one_line_and_costs_nothing(
    words: list[str], inrzoo: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    before = store_bytes(tmp_path)
    with no_more_bytes():
        code, out, err = inrzoo(*words)
    assert code == 2 and len(err.strip().splitlines()) == 1 and err.startswith("inrzoo: "), (out, err)
    assert "disk" in err or "cannot write" in err
    after = store_bytes(tmp_path)
    assert {name: after.get(name) for name in before} == before
    assert not any(name.startswith("made") for name in after)
    code, out, err = inrzoo(*words)
    assert code == 0, err


@pytest.mark.parametrize("out", ["/", "", ".", "fifo", "file", "folder"])
def test_a_place_where_no_store_can_be_is_one_line(
    out: str, inrzoo: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("file").write_text("years of work")
    Path("folder").mkdir()
    before = sorted(tmp_path.iterdir())
    for words in (["build", "digits", "--limit", "2"], ["build", "digits", "--limit", "2", "--overwrite"]):
        code, _, err = inrzoo(*words, "--out", out)
        assert code == 2 and len(err.strip().splitlines()) == 1 and err.startswith("inrzoo: "), err
    assert sorted(tmp_path.iterdir()) == before and Path("file").read_text() == "years of work"


def test_what_the_system_says_is_named(inrzoo: Callable[..., tuple[int, str, str]], exportable: Path) -> None:
    code, _, err = inrzoo("preview", exportable, "--out", "/proc/picture.png")
    assert code == 2 and "/proc/picture.png" in err and errno.errorcode
