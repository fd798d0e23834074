"""No path below a store is followed through a link: nothing outside of it is written, emptied or recorded."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_store import store_bytes, tiny

from inrzoo import stats, verify
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.store.root import change_info

FILES = ["zarr.json", "weights/c/0/0/0/0", "psnr/c/0/0/0", "psnr/zarr.json", "stats/mean/c/0/0", "label/c/0"]
FOLDERS = ["weights/c/0", "weights", "psnr/c", "stats", "_build"]
COMMANDS: dict[str, Callable[[Path], object]] = {
    "build with nothing to do": lambda path: build(tiny(), path, in_process=True, quiet=True),
    "build of more seeds": lambda path: build(tiny(seeds=3), path, in_process=True, quiet=True),
    "stats": stats.recompute,
    "verify --repair": lambda path: verify.repair(path, verify.verify(path)),
}


@pytest.fixture
def linked(finished: Path, tmp_path: Path) -> Path:
    """A store that is sound, but for a link that a test puts into it."""
    shutil.copytree(finished, tmp_path / "store.zarr")
    return tmp_path / "store.zarr"


def attacked(path: Path, name: str) -> Path:
    """Replace a part of a store by a link to something of the same content outside of it."""
    outside, part = path.parent / "outside", path / name
    outside.mkdir()
    if part.exists():
        shutil.move(part, outside / "thesis")
    else:
        (outside / "thesis").mkdir()
        (outside / "thesis" / "driver.lock").write_text("years of work")
    part.symlink_to(outside / "thesis")
    return outside


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_a_link_in_a_store_is_refused_and_what_it_leads_to_untouched(name: str, command: str, linked: Path) -> None:
    outside = attacked(linked, name)
    before, inside = store_bytes(outside), store_bytes(linked)
    with pytest.raises(InrzooError, match=f"{name} is a link"):
        COMMANDS[command](linked)
    assert store_bytes(outside) == before and store_bytes(linked) == inside


@pytest.mark.parametrize("name", [*FILES[1:], *FOLDERS])
def test_verify_names_a_link(name: str, linked: Path) -> None:
    attacked(linked, name)
    assert any(problem.startswith(name) for problem in verify.verify(linked).problems)


def test_the_lock_is_no_way_out(linked: Path) -> None:
    thesis = linked.parent / "thesis.txt"
    thesis.write_text("years of work")
    linked.with_name(f".{linked.name}.lock").symlink_to(thesis)
    with pytest.raises((InrzooError, OSError)):
        build(tiny(seeds=3), linked, in_process=True, quiet=True)
    assert thesis.read_text() == "years of work"


def test_a_link_that_appears_while_a_store_is_built_is_not_followed(linked: Path) -> None:
    """Checked again at every write: another process may put it there after the first look."""
    from inrzoo.store import Block, finalise, write_block
    from inrzoo.store.blocks import COLUMNS, Quality

    outside = linked.parent / "outside"
    outside.mkdir()
    store = open_store(linked)
    weights = store.weights[:3, 0]
    quality = Quality(**{name: getattr(store, name)[:3, 0] for name in COLUMNS})
    (linked / "_build").symlink_to(outside)
    with pytest.raises(InrzooError, match="_build is a link"):
        write_block(linked, Block(0, 0), weights, quality)
    shutil.move(linked / "psnr", outside / "psnr")
    (linked / "psnr").symlink_to(outside / "psnr")
    before = store_bytes(outside)
    with pytest.raises(InrzooError, match="psnr is a link"):
        finalise.open_group(linked)["psnr"][:] = 0
    assert store_bytes(outside) == before


def test_a_link_at_the_place_of_a_file_is_replaced_not_followed(linked: Path) -> None:
    thesis = linked.parent / "thesis.json"
    shutil.move(linked / "zarr.json", thesis)
    (linked / "zarr.json").symlink_to(thesis)
    before = thesis.read_bytes()
    change_info(linked, dataset="another")
    assert thesis.read_bytes() == before and not (linked / "zarr.json").is_symlink()


def test_a_store_reached_through_a_link_is_built_where_it_lies(linked: Path) -> None:
    """The way to a store may lead through links; what lies below it may not."""
    link = linked.parent / "newest.zarr"
    link.symlink_to(linked)
    assert build(tiny(), link, in_process=True, quiet=True).num_inrs == 96
    build(tiny(limit=4, seeds=1, fit__steps=2), link, in_process=True, quiet=True, overwrite=True)
    assert link.is_symlink() and open_store(linked).num_signals == 4
