"""A finished store vouches for itself: damage is noticed and never sealed in; what is not its own does not matter."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from file_operations import Crash, Operations
from tiny_store import small, store_bytes

from inrzoo import stats, verify
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import Store, finalise, intact, open_store
from inrzoo.store.info import StoreInfo
from inrzoo.store.intact import wrong_root
from inrzoo.store.root import ROOT_DIGEST, change_info

SHARD, METADATA = "weights/c/0/0/0/0", "psnr/zarr.json"
HIDDEN = [".DS_Store", "weights/.DS_Store", "weights/c/0/.nfs00000001", "psnr/._c", "label/.x", "stats/mean/c/0/.nfs1"]


@pytest.fixture
def copy(finished_small: Path, tmp_path: Path) -> Path:
    """A finished store that may be damaged."""
    shutil.copytree(finished_small, tmp_path / "copy.zarr")
    return tmp_path / "copy.zarr"


def grow(path: Path) -> object:
    return build(small(seeds=3), path, in_process=True, quiet=True)


def flip(file: Path, position: int, bit: int = 4) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1 << bit
    file.write_bytes(content)


# --- the root ----------------------------------------------------------------------------------------------------


def test_any_flipped_bit_of_the_root_is_noticed(copy: Path) -> None:
    whole, draw = (copy / "zarr.json").read_bytes(), random.Random(0)
    consolidated = whole.index(b"consolidated_metadata")
    places = [draw.randrange(len(whole)) for _ in range(120)]
    places += [draw.randrange(consolidated, len(whole)) for _ in range(60)]
    for place in places:
        flip(copy / "zarr.json", place, draw.randrange(8))
        try:
            noticed = wrong_root(copy, open_store(copy).info) != ""
        except InrzooError:
            noticed = True
        assert noticed, (place, whole[place - 20 : place + 20])
        (copy / "zarr.json").write_bytes(whole)


def test_consolidated_metadata_that_differ_from_the_files_are_noticed(copy: Path) -> None:
    from inrzoo.store.root import _change_root

    def change(root: dict[str, object]) -> None:
        root["consolidated_metadata"]["metadata"]["psnr"]["shape"][0] += 1  # type: ignore[index]

    _change_root(copy, change)  # with a digest that is right
    assert verify.verify(copy).problems == ["zarr.json repeats other metadata than those of its arrays"]


def test_a_root_without_a_digest_is_of_an_older_version_or_damaged(copy: Path) -> None:
    root = json.loads((copy / "zarr.json").read_text())
    del root["attributes"][ROOT_DIGEST]
    (copy / "zarr.json").write_text(json.dumps(root))
    assert verify.verify(copy).problems == [f"zarr.json lacks the attribute {ROOT_DIGEST}"]
    root["attributes"]["inrzoo"] = "0.1.0"
    (copy / "zarr.json").write_text(json.dumps(root))
    assert verify.verify(copy).problems == []


# --- nothing is sealed in ------------------------------------------------------------------------------------------


def test_a_build_with_nothing_to_do_does_nothing(copy: Path, inrzoo: Callable[..., tuple[int, str, str]]) -> None:
    flip(copy / "signals" / "c" / "0" / "0" / "0", 30)
    (copy / METADATA).write_text((copy / METADATA).read_text() + "\n")
    before = store_bytes(copy)
    times = {file: file.stat().st_mtime_ns for file in copy.rglob("*")}
    build(small(), copy, in_process=True, quiet=True)
    assert store_bytes(copy) == before and {file: file.stat().st_mtime_ns for file in copy.rglob("*")} == times
    assert any(METADATA in problem for problem in verify.verify(copy).problems)


@pytest.mark.parametrize("command", [grow, stats.recompute])
@pytest.mark.parametrize("name", [SHARD, METADATA, "label/c/0", "zarr.json"])
def test_what_is_damaged_is_not_sealed_anew(name: str, command: Callable[[Path], object], copy: Path) -> None:
    if name == "zarr.json":  # a change that leaves it readable
        root = (copy / name).read_text()
        (copy / name).write_text(root.replace('"licence": "', '"licence": "x'))
    else:
        flip(copy / name, 30, 0)
    before = store_bytes(copy)
    with pytest.raises(InrzooError, match=f"damaged.*{name}"):
        command(copy)
    assert store_bytes(copy) == before


def test_statistics_that_are_damaged_are_computed_again(copy: Path) -> None:
    before = store_bytes(copy)
    flip(copy / "stats" / "mean" / "c" / "0" / "0", 3)
    stats.recompute(copy)
    assert store_bytes(copy) == before


# --- what is not the store's ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [grow, stats.recompute])
def test_hidden_files_are_ignored_at_every_level(command: Callable[[Path], object], copy: Path) -> None:
    for name in HIDDEN:
        (copy / name).write_text("left by a file manager")
    assert verify.verify(copy).problems == []
    command(copy)
    store = open_store(copy)
    assert verify.verify(copy).problems == [] and not {*HIDDEN} & store.info.checksums.keys()
    assert all((copy / name).exists() for name in HIDDEN)


@pytest.mark.parametrize(
    "name",
    [
        "weights/c/0/Thumbs.db",
        "more/zarr.json",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("notes.txt", "weights/notes.txt")),
    ],
)
def test_a_visible_file_is_named_by_verify_and_never_recorded(name: str, copy: Path) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("{}")
    assert verify.verify(copy).problems == [f"{name} is not part of the store"]
    grow(copy)
    assert name not in open_store(copy).info.checksums
    assert verify.verify(copy).problems == [f"{name} is not part of the store"]


def test_a_store_that_recorded_a_hidden_file_opens_again(copy: Path) -> None:
    (copy / "weights" / ".DS_Store").write_text("left by a file manager")
    sums = open_store(copy).info.checksums
    root = json.loads((copy / "zarr.json").read_text())
    root["attributes"] |= {"inrzoo": "0.1.0", "checksums": {**sums, "weights/.DS_Store": "0" * 64}}
    del root["attributes"][ROOT_DIGEST]
    (copy / "zarr.json").write_text(json.dumps(root))
    assert verify.verify(copy).problems == []
    grow(copy)
    assert verify.verify(copy).problems == []
    assert "weights/.DS_Store" not in json.loads((copy / "zarr.json").read_text())["attributes"]["checksums"]


# --- while it changes ----------------------------------------------------------------------------------------------


def test_a_store_that_grows_while_it_is_verified_is_not_called_damaged(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, grown = verify.wrong_files, []

    def meanwhile(path: Path, info: StoreInfo) -> dict[str, str]:
        if not grown:
            grown.append(grow(path))
        return check(path, info)

    monkeypatch.setattr(verify, "wrong_files", meanwhile)
    findings = verify.verify(copy)
    assert findings.problems == [] and findings.num_inrs == 3 * 6


def test_a_store_whose_statistics_are_replaced_while_it_is_verified_is_not_damaged(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file goes between the listing and the reading of it, as `inrzoo stats` does it."""
    read, begun = intact.sha256, []

    def and_meanwhile(file: Path) -> str:
        if not begun and file.is_relative_to(copy / "stats"):
            begun.append(file)
            change_info(copy, complete=False)
            shutil.rmtree(copy / "stats")
        return read(file)

    def and_at_last(path: Path) -> Store:
        if begun and not (copy / "stats").exists():
            stats.run(open_store(path))
        return open_store(path)

    monkeypatch.setattr(intact, "sha256", and_meanwhile)
    monkeypatch.setattr(verify, "open_store", and_at_last)
    assert verify.verify(copy).problems == [] and begun


def test_a_file_that_goes_while_it_is_verified_is_missing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = intact.sha256

    def and_meanwhile(file: Path) -> str:
        (copy / SHARD).unlink(missing_ok=True)
        return read(file)

    monkeypatch.setattr(intact, "sha256", and_meanwhile)
    assert f"{SHARD} is missing" in verify.verify(copy).problems


def test_a_store_whose_arrays_grow_one_by_one_reads_as_before(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_store(copy)
    psnr = before.psnr
    for moment in range(1, 40):
        with monkeypatch.context() as patch:
            operations = Operations(patch, moment, ("replace",))
            try:
                finalise.grow(copy, 3, None)
            except Crash:
                pass
            else:
                break
        store = open_store(copy)
        assert store.num_seeds == 2 or moment > 8
        assert (store.psnr[:, :2] == psnr).all() and store.block_sha256.shape[1] == store.num_seeds
    assert operations.count > 8


@pytest.mark.parametrize("num_moments", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_a_repair_that_is_cut_at_any_moment_is_continued(
    num_moments: int, copy: Path, finished_small: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    original = store_bytes(finished_small)

    def repair(moment: int | None) -> Operations:
        with pytest.MonkeyPatch.context() as patch:
            operations = Operations(patch, moment)
            verify.repair(copy, verify.verify(copy))
        return operations

    flip(copy / SHARD, 30)
    count = repair(None).count
    assert store_bytes(copy) == original
    for moment in range(1, count + 1, max(1, count // num_moments)):
        flip(copy / SHARD, 30)
        with pytest.raises(Crash):
            repair(moment)
        code, out, err = inrzoo("verify", copy, "--repair")
        assert code == 0 and "is verified" in out, (moment, out, err)
        assert store_bytes(copy) == original, moment


def test_a_repair_of_a_store_that_was_changed_since_is_refused(copy: Path) -> None:
    flip(copy / SHARD, 30)
    findings = verify.verify(copy)
    change_info(copy, version="0.2.1")
    with pytest.raises(InrzooError, match="another process has changed"):
        verify.repair(copy, findings)
