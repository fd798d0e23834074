"""`--overwrite` takes nothing away before the new store is complete, whatever goes wrong on the way."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from file_operations import Crash, Operations, no_space
from tiny_store import small, store_bytes, tiny

from inrzoo.builder import build, execute
from inrzoo.errors import InrzooError
from inrzoo.store import open_store, replace
from inrzoo.verify import verify

SMALL = {"limit": 3, "seeds": 1, "fit__steps": 2}


@pytest.fixture(scope="module")
def new_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the files of a build of the small store."""
    path = tmp_path_factory.mktemp("new") / "store.zarr"
    build(tiny(**SMALL), path, in_process=True, quiet=True)
    return store_bytes(path)


@pytest.fixture
def old(finished_small: Path, tmp_path: Path) -> Path:
    """A store that stands where another one is to be built."""
    shutil.copytree(finished_small, tmp_path / "store.zarr")
    return tmp_path / "store.zarr"


def overwrite(path: Path) -> None:
    build(tiny(**SMALL), path, in_process=True, quiet=True, overwrite=True)


@contextmanager
def failing(first: int | None, error: Callable[[], BaseException] = Crash) -> Iterator[Operations]:
    with pytest.MonkeyPatch.context() as patch:
        yield Operations(patch, first, error=error)


def test_the_new_store_takes_the_place_of_the_old_one(old: Path, new_bytes: dict[str, str]) -> None:
    overwrite(old)
    assert store_bytes(old) == new_bytes
    assert {file.name for file in old.parent.iterdir()} == {"store.zarr", "store.build.json"}


def test_a_typo_in_the_source_leaves_the_old_store(
    old: Path, finished_small: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = inrzoo("build", "omniglot", "--source", "/nonexistent", "--out", old, "--overwrite")
    assert code == 2 and "/nonexistent" in err
    assert store_bytes(old) == store_bytes(finished_small)
    assert [file.name for file in old.parent.iterdir()] == ["store.zarr"]


@pytest.mark.parametrize("every", [9, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("error", [Crash, pytest.param(no_space, marks=pytest.mark.slow)])
def test_a_failure_at_any_file_operation_leaves_the_old_store_or_the_new_one(
    error: Callable[[], BaseException], every: int, old: Path, finished_small: Path, new_bytes: dict[str, str]
) -> None:
    old_bytes = store_bytes(finished_small)
    with failing(None) as operations:
        overwrite(old)
    shutil.rmtree(old)
    shutil.copytree(finished_small, old)
    last = operations.count
    # The exchange is near the end.
    moments = sorted({*range(1, last, last * every // 16), *range(last - 16, last + 1, every)})
    for moment in moments:
        with failing(moment, error) as operations, pytest.raises((Crash, InrzooError, OSError)):
            overwrite(old)
        visible = {name: sha for name, sha in store_bytes(old).items() if not name.startswith(".")}
        assert visible in (old_bytes, new_bytes), moment
        assert verify(old).problems == [], moment
        overwrite(old)
        assert store_bytes(old) == new_bytes, moment
        assert {file.name for file in old.parent.iterdir()} == {"store.zarr", "store.build.json"}, moment
        shutil.rmtree(old)
        shutil.copytree(finished_small, old)


def test_without_an_exchange_by_the_system_nothing_is_lost_either(
    old: Path, finished_small: Path, new_bytes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replace, "_swap", lambda one, other: False)
    renames = Path.rename

    def cut(path: Path, target: Path) -> Path:
        """The process ends between the two renames."""
        if path.name == ".store.zarr.new":
            raise Crash
        return renames(path, target)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Path, "rename", cut)
        overwrite(old)
    assert not old.exists()
    build(small(), old, in_process=True, quiet=True)  # any command that writes brings the old one back
    assert store_bytes(old) == store_bytes(finished_small)
    overwrite(old)
    assert store_bytes(old) == new_bytes


def test_the_old_store_is_read_and_verified_while_the_new_one_is_built(
    old: Path, finished_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, seen = execute.write_block, []

    def look(*arguments: object) -> None:
        seen.append(store_bytes(old) == store_bytes(finished_small) and open_store(old).complete)
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(execute, "write_block", look)
    overwrite(old)
    assert seen and all(seen)


def test_an_interrupted_replacement_is_continued(
    old: Path, new_bytes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = execute.write_block, []

    def stop(*arguments: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(arguments)
        write(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(execute, "write_block", stop)
        overwrite(old)
    report = build(tiny(**SMALL), old, in_process=True, quiet=True, overwrite=True)
    assert report.fitted == 2  # blocks of this store hold one INR each
    assert store_bytes(old) == new_bytes


def test_an_interrupted_replacement_by_other_settings_is_not_continued(
    old: Path, new_bytes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(execute, "write_block", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        build(tiny(**{**SMALL, "fit__lr": 1e-3}), old, in_process=True, quiet=True, overwrite=True)
    overwrite(old)
    assert store_bytes(old) == new_bytes
